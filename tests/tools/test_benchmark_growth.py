"""The benchmark of growth measures each series and writes a figure."""

import argparse

from benchmarks import growth
from benchmarks.machine import Machine


def test_all_series_and_the_picture(tmp_path):
    parser = argparse.ArgumentParser()
    growth.add_arguments(parser)
    line = '--tokenizer tiny/lfq_32 --generator tiny/ar_32 --bits 4 6 --sizes 16 32 --lengths 4 8'
    path = tmp_path / 'a.png'
    args = parser.parse_args([*line.split(), '--batch-sizes', '1', '--plot', str(path)])
    results = list(growth.measure(args, Machine()))
    assert [r.name for r in results] == [
        'bits of LFQ, 256 tokens: 4',
        'bits of LFQ, 256 tokens: 6',
        'pixels of a side, tiny/lfq_32: 16',
        'pixels of a side, tiny/lfq_32: 32',
        'images, one position of tiny/ar_32: 1',
        'positions, one pass of tiny/ar_32: 4',
        'positions, one pass of tiny/ar_32: 8',
    ]
    assert all(r.seconds > 0 for r in results) and path.read_bytes()[1:4] == b'PNG'
