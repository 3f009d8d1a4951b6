"""The benchmark of a generator's training step measures what it claims."""

import argparse

import pytest

from benchmarks import ar_train
from benchmarks.machine import Machine


def test_memory_of_a_head_by_hand():
    """All logits: the table, its logarithms and their gradient; slices: a few of their size."""
    plain = ar_train.head_bytes(2**16, 64, 512, ar_train.plain_loss)
    own = ar_train.head_bytes(2**16, 64, 512, ar_train.own_loss)
    table = 512 * 2**16 * 4
    assert 2 * table <= plain <= 3.2 * table
    assert own <= 3.2 * table


def test_single_head_of_the_paper_stays_below_a_gigabyte():
    """With 256 tokens, batch 4 and 2^18 codes, the table of logits alone has 1.07 GB."""
    assert ar_train.head_bytes(2**18, 1024, 1024, ar_train.own_loss) < 1e9
    assert ar_train.head_bytes(2**18, 1024, 1024, ar_train.plain_loss) > 2e9


def test_both_results(monkeypatch):
    for rate in ('_matrix_rate', '_convolution_rate'):
        monkeypatch.setattr(Machine, rate, lambda self, dtype=None: 1e9)
    parser = argparse.ArgumentParser()
    ar_train.add_arguments(parser)
    args = parser.parse_args(
        '--config tiny/ar_32 --batch-size 2 --head-bits 8 --head-dim 16 --head-tokens 4'.split()
    )
    monkeypatch.setattr(ar_train, 'LARGE', 1e4)
    step, head = ar_train.measure(args, Machine())
    assert step.amount == 2 * 64 and step.peak > 0 and step.plain > 0
    assert 'wait for data' in step.notes[1] and head.peak == pytest.approx(head.plain_peak, rel=1)
