"""The benchmark of decoding measures what it claims."""

import pytest

from benchmarks import decoding
from openmagvit2.apis import Generator


@pytest.fixture(scope='module')
def model():
    return Generator.from_config('tiny/ar_32').model


def test_weights_of_a_position(model):
    backbone, head = (
        {name: p.numel() for name, p in part.named_parameters()}
        for part in (model.backbone, model.head)
    )
    expected = sum(backbone.values()) + sum(
        size * (2 if name.startswith('blocks.') else 1)
        for name, size in head.items()
        if name.startswith(('blocks.', 'classifiers.'))
    )
    assert decoding.weights_read(model) == expected


def test_all_ways_run(model):
    assert decoding.starts(model, 3).shape == (6, 1, 64)
    for weights in ('plain', 'int8'):
        assert decoding.token_seconds(model, 2, 4, weights) > 0
    assert decoding.plain_seconds(model, 2, 4) > 0
    seconds, counts = decoding.jacobi_seconds(model, 8, 4)
    assert seconds > 0 and sum(counts) == 8 and max(counts) <= 4
