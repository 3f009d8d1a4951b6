"""Indices to sub-tokens and back."""

import pytest
import torch

from openmagvit2.models.factorization import TokenFactorization


def test_split_is_low_digits_first():
    assert TokenFactorization(bits=[6, 12]).split(torch.tensor(5 + 64 * 77)).tolist() == [5, 77]


@pytest.mark.parametrize('sizes', [[7], [4, 9], [3, 5, 2]])
def test_factorization_round_trip(sizes):
    factorization = TokenFactorization(vocab_sizes=sizes)
    indices = torch.arange(torch.tensor(sizes).prod())
    sub = factorization.split(indices)
    assert factorization.merge(sub).equal(indices) and (sub < torch.tensor(sizes)).all()


def test_bits_must_fit_the_codebook():
    with pytest.raises(ValueError, match='make 262144 codes, but the tokenizer has 1000'):
        TokenFactorization(bits=[6, 12], codebook_size=1000)


def test_the_default_cut_is_at_the_codebooks():
    factorization = TokenFactorization(codebook_sizes=(8, 5, 2**40, 2**40))
    assert factorization.vocab_sizes == [8, 5, 2**40, 2**40]
    indices = torch.tensor([[[7, 4, 3, 2**40 - 1], [0, 1, 2, 3]]])
    assert factorization.split(indices).equal(indices)
    assert factorization.merge(indices).equal(indices)


def test_a_cut_across_codebooks_is_one_mixed_radix_number():
    # 3 + 4 * (2 + 6 * 1) = 35 = 3 + 8 * 4.
    factorization = TokenFactorization(codebook_sizes=(4, 6, 2), vocab_sizes=[8, 6])
    assert factorization.split(torch.tensor([[[3, 2, 1]]])).tolist() == [[[3, 4]]]
    assert factorization.merge(torch.tensor([[[3, 4]]])).tolist() == [[[3, 2, 1]]]


def test_only_the_codebooks_that_a_cut_joins_must_fit_an_integer():
    # 8 codebooks of 16 bits: 128 bits. Each is cut in two, or two are joined.
    assert TokenFactorization(bits=[8] * 16, codebook_sizes=[2**16] * 8)
    assert TokenFactorization(bits=[32] * 4, codebook_sizes=[2**16] * 8)
    with pytest.raises(ValueError, match=r'model.factorization.bits: .* at most 2\^62'):
        TokenFactorization(bits=[8, *[16] * 7, 8], codebook_sizes=[2**16] * 8)


@pytest.mark.parametrize(
    ('books', 'vocabs'), [((6,), [2, 3]), ((4, 6, 2), [8, 6]), ((4, 4), [2, 8, 1]), ((4, 9), None)]
)
@pytest.mark.parametrize('grid', [(5,), (2, 3), (2, 3, 4), (8, 8, 4)])
def test_it_alone_turns_token_shapes_into_sequences(books, vocabs, grid):
    factorization = TokenFactorization(codebook_sizes=books, vocab_sizes=vocabs)
    token_shape = grid if len(books) == 1 else (*grid, len(books))
    generator = torch.Generator().manual_seed(0)
    digits = [torch.randint(size, (2, *grid), generator=generator) for size in books]
    indices = digits[0] if len(books) == 1 else torch.stack(digits, -1)
    sub = factorization.split(indices)
    cells = torch.tensor(grid).prod().item()
    assert sub.shape == (2, cells, len(factorization.vocab_sizes)) and sub.dtype == torch.int64
    assert (sub < torch.tensor(factorization.vocab_sizes)).all()
    assert factorization.merge(sub, token_shape).equal(indices)


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(bits=[2], vocab_sizes=[4]), 'only one of `bits` and `vocab_sizes`'),
        (dict(), 'set `bits` or `vocab_sizes`'),
        (dict(bits=[0, 4]), r'model.factorization.bits: .* positive size, got \[0, 4\]'),
        (dict(vocab_sizes=[0, 4]), 'model.factorization.vocab_sizes: .* positive size'),
        (dict(bits=[3, 4], codebook_sizes=(8, 8)), 'bits: .* make 128 codes, .* has 64'),
    ],
)
def test_mistakes_name_the_key(settings, message):
    with pytest.raises(ValueError, match=message):
        TokenFactorization(**settings)
