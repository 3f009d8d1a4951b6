"""Asymmetric token factorization: one large index as several small ones, and back (paper §2.3, spec
§1.1).
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from openmagvit2.errors import UserError
from openmagvit2.registry import FACTORIZATIONS


@FACTORIZATIONS.register_module()
class TokenFactorization(nn.Module):
    """Mixed-radix digits of an index; the first sub-token is the lowest digit, as in the official
    models.

    Args:
        bits: Bits of each sub-token, [6, 12] in the paper.
        vocab_sizes: Or the size of each sub-vocabulary, for codebooks that are no power of two.
        codebook_size: When given, the product must equal it; the generator passes its tokenizer's.

    Raises:
        UserError: Neither or both of the two are given, or the product does not fit.
    """

    def __init__(
        self,
        *,
        bits: Sequence[int] | None = None,
        vocab_sizes: Sequence[int] | None = None,
        codebook_size: int | None = None,
    ) -> None:
        super().__init__()
        if (bits is None) == (vocab_sizes is None):
            raise UserError('model.factorization: give exactly one of `bits` and `vocab_sizes`.')
        self.vocab_sizes = (
            [2**b for b in bits] if bits is not None else [int(v) for v in vocab_sizes]
        )
        if not self.vocab_sizes or min(self.vocab_sizes) < 1:
            raise UserError(
                f'model.factorization: every sub-vocabulary needs a positive size, got '
                f'{self.vocab_sizes}.'
            )
        product = math.prod(self.vocab_sizes)
        if codebook_size is not None and product != codebook_size:
            raise UserError(
                f'model.factorization: sub-vocabularies {self.vocab_sizes} make {product} tokens, '
                f'the tokenizer has '
                f'{codebook_size}; mend `bits` or `vocab_sizes`.'
            )

    def split(self, indices: Tensor) -> Tensor:
        """int64 (...) to sub-indices int64 (..., k)."""
        digits = []
        for size in self.vocab_sizes:
            digits.append(indices % size)
            indices = indices // size
        return torch.stack(digits, -1)

    def merge(self, sub_indices: Tensor) -> Tensor:
        """Sub-indices int64 (..., k) to int64 (...)."""
        indices = torch.zeros_like(sub_indices[..., 0])
        for digit, size in zip(
            reversed(sub_indices.unbind(-1)), reversed(self.vocab_sizes), strict=True
        ):
            indices = indices * size + digit
        return indices
