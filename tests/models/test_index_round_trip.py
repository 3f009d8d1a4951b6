"""Index to code to index, and to sub-tokens and back."""

import pytest
import torch

from openmagvit2.models.factorization import TokenFactorization
from openmagvit2.models.quantizers import FSQ, LFQ, VQ


@pytest.mark.parametrize(
    'quantizer',
    [
        LFQ(num_bits=10),
        FSQ(levels=[2, 3, 4, 5]),
        FSQ(levels=[8, 8, 8, 5, 5, 5]),
        VQ(codebook_size=100),
    ],
    ids=repr,
)
def test_every_code(quantizer):
    indices = torch.arange(quantizer.codebook_size).reshape(1, -1)
    assert quantizer.codes_to_indices(quantizer.indices_to_codes(indices)).equal(indices)


def test_split_is_low_digits_first():
    assert TokenFactorization(bits=[6, 12]).split(torch.tensor(5 + 64 * 77)).tolist() == [5, 77]


@pytest.mark.parametrize('sizes', [[7], [4, 9], [3, 5, 2]])
def test_factorization_round_trip(sizes):
    factorization = TokenFactorization(vocab_sizes=sizes)
    indices = torch.arange(torch.tensor(sizes).prod())
    sub = factorization.split(indices)
    assert factorization.merge(sub).equal(indices) and (sub < torch.tensor(sizes)).all()


def test_bits_must_fit_the_codebook():
    with pytest.raises(ValueError, match='make 262144 tokens, the tokenizer has 1000'):
        TokenFactorization(bits=[6, 12], codebook_size=1000)
