"""The benchmark of sampling counts what it claims."""

import argparse

import pytest

from benchmarks import sampling
from benchmarks.machine import Machine


def call(*options: str) -> str:
    parser = argparse.ArgumentParser()
    sampling.add_arguments(parser)
    args = parser.parse_args(['--config', 'tiny/ar_32', '--batch-size', '3', *options])
    (result,) = sampling.measure(args, Machine())
    return str(result)


@pytest.mark.parametrize('options', [(), ('--steps', '2')])
def test_figures(options):
    out = call(*options)
    # Two backbone blocks of 64 positions and an intra block of two slots, keys and values, six
    # rows, width 64, float32: 0.40 MB.
    assert 2 * 6 * 64 * 4 * (2 * 64 + 2) == 399_360 and 'caches 0 MB' in out
    assert 'caches allocated: 6 (keys and values of 3 layers)' in out
    assert f'{2 if options else 64} of 64 tokens' in out


def test_wrong_steps_are_an_error():
    with pytest.raises(ValueError, match='--steps must be from 1 to 64, got 65'):
        call('--steps', '65')
