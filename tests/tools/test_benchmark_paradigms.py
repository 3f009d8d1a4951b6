"""The benchmark of paradigms times whole images and compares them with the first config."""

import argparse
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from benchmarks import paradigms
from benchmarks.machine import Machine
from benchmarks.memory import resident_peak


def test_figures(monkeypatch):
    parser = argparse.ArgumentParser()
    paradigms.add_arguments(parser)
    # Two seconds of tokens and one of pixels, then half a second and one.
    marks = iter([0.0, 2.0, 3.0, 10.0, 10.5, 11.5])
    monkeypatch.setattr(paradigms, 'time', SimpleNamespace(perf_counter=lambda: next(marks)))
    args = parser.parse_args(['--configs', 'tiny/titok_ar_32', 'tiny/var_32'])
    first, second = paradigms.measure(args, Machine())
    assert (first.seconds, second.seconds) == (3.0, 1.5)
    assert ' tokens in 2 s, then pixels' in str(first)
    assert '2 times as fast as tiny/titok_ar_32' in str(second)
    assert first.content()['throughput'] == pytest.approx(1 / 3)


@pytest.mark.skipif(not Path('/proc/self/clear_refs').exists(), reason='Linux')
def test_memory_that_came_and_went():
    with resident_peak() as memory:
        torch.ones(2**24).sum()
    # The system counts in steps of several pages.
    assert 0.98 * 4 * 2**24 < memory['beyond'] < 6 * 2**24
    with resident_peak() as memory:
        pass
    assert memory['beyond'] < 2**22
