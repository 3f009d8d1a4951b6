"""Usage of several codebooks, by hand, and over processes of which one has no image."""

import math

import pytest
import torch
import torch.distributed as dist

from openmagvit2.registry import METRICS

# One image of three tokens with a digit of 4 and one of 2 codes.
INDICES = torch.tensor([[[0, 1], [1, 1], [1, 1]]])
ENTROPY = -(1 / 3 * math.log(1 / 3) + 2 / 3 * math.log(2 / 3))
VALUES = dict(
    usage=(2 / 4 + 1 / 2) / 2,
    usage_of_possible=(2 / 3 + 1 / 2) / 2,
    perplexity=(math.exp(ENTROPY) + 1) / 2,
    usage_0=2 / 4,
    usage_of_possible_0=2 / 3,
    perplexity_0=math.exp(ENTROPY),
    usage_1=1 / 2,
    usage_of_possible_1=1 / 2,
    perplexity_1=1,
)


def test_each_codebook_has_its_table():
    metric = METRICS.build(dict(type='CodebookUsage'))
    for part in (INDICES[:, :1], INDICES[:, 1:]):
        metric.process({}, [dict(indices=part, codebook_sizes=(4, 2))])
    assert metric.evaluate(1) == pytest.approx(VALUES)
    # Samples of before: several codebooks of one size.
    metric.process({}, [dict(indices=INDICES, codebook_size=4, num_codebooks=2)])
    values = metric.evaluate(1)
    assert (values['usage_0'], values['usage_1']) == (2 / 4, 1 / 4)


@pytest.mark.parametrize('digit', [2, -1])
def test_an_index_beyond_its_codebook_is_named(digit):
    metric = METRICS.build(dict(type='CodebookUsage'))
    with pytest.raises(ValueError, match=f'the index {digit} in codebook 1, but its codebook_size'):
        metric.update(dict(indices=torch.tensor([[[3, 0], [3, digit]]]), codebook_sizes=(4, 2)))


def test_a_process_without_an_image_has_the_values_of_all(monkeypatch):
    """As if another process had counted: its sizes and its sums come from outside."""
    full, empty = (METRICS.build(dict(type='CodebookUsage')) for _ in range(2))
    full.process({}, [dict(indices=INDICES, codebook_sizes=(4, 2))])

    def gather(into, mine):
        other = full.sizes if isinstance(mine, tuple) else full.total.numel()
        into[:] = [other, mine]

    monkeypatch.setattr(dist, 'is_initialized', lambda: True)
    monkeypatch.setattr(dist, 'get_world_size', lambda: 2)
    monkeypatch.setattr(dist, 'get_backend', lambda: 'gloo')
    monkeypatch.setattr(dist, 'all_gather_object', gather)
    monkeypatch.setattr(dist, 'all_reduce', lambda total: total.add_(full.total))
    assert empty.evaluate(1) == pytest.approx(VALUES)
