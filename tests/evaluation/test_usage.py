"""Usage of several codebooks, computed by hand, and over processes of which one has no image."""

import math

import pytest
import torch

from openmagvit2.evaluation.usage import Book, count
from openmagvit2.registry import METRICS

# One image of three tokens, each with a digit of 4 codes and one of 2.
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
    # Samples of version 1: several codebooks of one size.
    metric.process({}, [dict(indices=INDICES, codebook_size=4, num_codebooks=2)])
    values = metric.evaluate(1)
    assert (values['usage_0'], values['usage_1']) == (2 / 4, 1 / 4)


@pytest.mark.parametrize('digit', [2, -1])
def test_an_index_beyond_its_codebook_is_named(digit):
    metric = METRICS.build(dict(type='CodebookUsage'))
    with pytest.raises(ValueError, match=f'the index {digit} in codebook 1, but its codebook_size'):
        metric.update(dict(indices=torch.tensor([[[3, 0], [3, digit]]]), codebook_sizes=(4, 2)))


def test_a_process_without_an_image_has_the_values_of_all(monkeypatch):
    """The sizes and sums of a simulated second process are included."""
    full, empty = (METRICS.build(dict(type='CodebookUsage')) for _ in range(2))
    full.process({}, [dict(indices=INDICES, codebook_sizes=(4, 2))])

    def gather(mine):
        return [[4, 2] if isinstance(mine, list) else full.total.numel(), mine]

    sums = iter([full.total, *(book.counts for book in full.books)])

    for module in ('codebook_usage', 'base'):
        name = f'openmagvit2.evaluation.metrics.{module}.all_gather_object'
        monkeypatch.setattr(name, gather)
    for module in ('usage', 'metrics.base'):
        name = f'openmagvit2.evaluation.{module}.all_reduce'
        monkeypatch.setattr(name, lambda total: total.add_(next(sums)))
    assert empty.evaluate(1) == pytest.approx(VALUES)


def test_usage_of_a_codebook_too_large_for_a_table():
    """A codebook of 2^40 codes, of which only those that occur are counted, and a small one."""
    metric = METRICS.build(dict(type='CodebookUsage'))
    far = 2**40 - 1
    for rows in ([[far, 0], [7, 1]], [[7, 1], [2**33, 1]]):
        metric.process({}, [dict(indices=torch.tensor([rows]), codebook_sizes=(2**40, 2))])
    values = metric.evaluate(2)
    assert values['usage_0'] == 3 / 2**40 and values['usage_of_possible_0'] == 3 / 4
    assert values['perplexity_0'] == pytest.approx(2**1.5) and values['usage_1'] == 1
    assert max(len(book.counts) for book in count(torch.tensor([[far, 1]]), (2**40, 2), 'x')) == 2
    with pytest.raises(ValueError, match='the index 1099511627776 in codebook 0'):
        metric.process({}, [dict(indices=torch.tensor([[[2**40, 0]]]), codebook_sizes=(2**40, 2))])


@pytest.mark.parametrize('size', [6, 2**30])
def test_sums_of_counts(size):
    a, b = (Book.of(torch.tensor(codes), size) for codes in ([5, 1, 5], [1, 0]))
    both, empty = a + b, Book.of(torch.zeros(0, dtype=torch.int64), size)
    assert (both.used, both.possible) == (3, 5)
    assert both.numbers() == Book.of(torch.tensor([5, 1, 5, 1, 0]), size).numbers()
    assert (both + empty).numbers() == (empty + both).numbers() == both.numbers()
