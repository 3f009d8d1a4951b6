"""Asymmetric token factorization: split large indices into sub-tokens (paper, section 2.3)."""

import math
from collections.abc import Sequence
from functools import reduce
from itertools import accumulate
from operator import add

import torch
from torch import Tensor, nn

from openmagvit2.errors import UserError
from openmagvit2.registry import FACTORIZATIONS

# Bound of the products of sizes, so that joined digits fit an int64.
LARGEST = 2**62


@FACTORIZATIONS.register_module()
class TokenFactorization(nn.Module):
    """Map indices (B, *token_shape) of a quantizer to sub-tokens (B, T, k), and back.

    The digits of an index form one mixed-radix number, codebook 0 lowest. It is split again into
    sub-tokens, the first of which is lowest, as in the official models; by default one sub-token
    per codebook. For example, ``bits=[6, 12]`` splits a token of one codebook of 2^18 codes into
    two sub-tokens; a token of four codebooks of 256 codes becomes four sub-tokens by default, or
    two with ``bits=[16, 16]``.

    Args:
        bits: Bits of each sub-token, [6, 12] in the paper.
        vocab_sizes: Size of each sub-vocabulary, instead of ``bits``; for codebooks whose size is
            not a power of two.
        codebook_sizes: Codebook sizes of the quantizer; the generator passes its tokenizer's. None:
            a single codebook whose size is the product of the sub-vocabularies.
        codebook_size: Version 1's name for the size of a single codebook.

    Attributes:
        vocab_sizes: Size of each sub-vocabulary.
        codebook_sizes: Size of each codebook.

    Raises:
        UserError: Both ``bits`` and ``vocab_sizes`` are given, or no size at all; the products of
            codebooks and sub-vocabularies differ; or a split joins more than 2^62 codes.
    """

    def __init__(
        self,
        *,
        bits: Sequence[int] | None = None,
        vocab_sizes: Sequence[int] | None = None,
        codebook_sizes: Sequence[int] | None = None,
        codebook_size: int | None = None,
    ) -> None:
        super().__init__()
        if codebook_size is not None:
            codebook_sizes = codebook_sizes or (codebook_size,)
            if codebook_size != math.prod(codebook_sizes):
                raise UserError(
                    f'model.factorization.codebook_size: the tokenizer has '
                    f'{math.prod(codebook_sizes)} codes, not {codebook_size}; leave it out.'
                )
        if bits is not None and vocab_sizes is not None:
            raise UserError('model.factorization: set only one of `bits` and `vocab_sizes`.')
        key = 'bits' if bits is not None else 'vocab_sizes'
        if bits is not None:
            vocab_sizes = [2**b if b > 0 else 0 for b in bits]
        elif vocab_sizes is None:
            vocab_sizes = codebook_sizes
        if vocab_sizes is None:
            raise UserError('model.factorization: set `bits` or `vocab_sizes`.')
        self.vocab_sizes = [int(size) for size in vocab_sizes]
        if not self.vocab_sizes or min(self.vocab_sizes) < 1:
            raise UserError(
                f'model.factorization.{key}: every sub-vocabulary needs a positive size, got '
                f'{list(bits) if bits is not None else self.vocab_sizes}.'
            )
        product = math.prod(self.vocab_sizes)
        self.codebook_sizes = tuple(codebook_sizes or (product,))
        if product != math.prod(self.codebook_sizes):
            raise UserError(
                f'model.factorization.{key}: sub-vocabularies {self.vocab_sizes} make {product} '
                f'codes, but the tokenizer has {math.prod(self.codebook_sizes)}; correct the sizes.'
            )
        self.blocks = _blocks(self.codebook_sizes, self.vocab_sizes)
        largest = max(math.prod(books) for books, _ in self.blocks)
        if largest > LARGEST:
            raise UserError(
                f'model.factorization.{key}: {self.vocab_sizes} splits across codebooks with '
                f'{largest} codes in total, but a split can join at most 2^62 codes; split at '
                f'the codebooks {list(self.codebook_sizes)}.'
            )

    def split(self, indices: Tensor) -> Tensor:
        """Map indices int64 (B, *token_shape) to sub-tokens int64 (B, T, k), where T counts cells.

        With several codebooks, the last axis of ``indices`` holds the digits. Indices of shape ()
        or (M,), without an axis of cells, give (k,) or (M, k).
        """
        digits = indices if len(self.codebook_sizes) > 1 else indices[..., None]
        sub_indices = self._convert(digits, self.blocks)
        return sub_indices.flatten(1, -2) if sub_indices.dim() > 2 else sub_indices

    def merge(self, sub_indices: Tensor, token_shape: Sequence[int] | None = None) -> Tensor:
        """Map sub-tokens int64 (B, T, k) to indices int64 (B, *token_shape).

        Args:
            sub_indices: Sub-tokens.
            token_shape: The quantizer's ``token_shape(grid)``; None: (T,), or (T, codebooks) with
                several codebooks.
        """
        digits = self._convert(sub_indices, [(vocabs, books) for books, vocabs in self.blocks])
        indices = digits if len(self.codebook_sizes) > 1 else digits[..., 0]
        return indices if token_shape is None else indices.reshape(len(indices), *token_shape)

    @staticmethod
    def _convert(digits: Tensor, blocks: list[tuple[list[int], list[int]]]) -> Tensor:
        """Convert mixed-radix digits (..., n) to (..., m), from each block's first radices to its
        second ones.
        """
        parts = digits.split([len(before) for before, _ in blocks], -1)
        return torch.cat(
            [
                part if before == after else _digits(_number(part, before), after)
                for part, (before, after) in zip(parts, blocks, strict=True)
            ],
            -1,
        )


def _number(digits: Tensor, sizes: list[int]) -> Tensor:
    """Map mixed-radix digits (..., n), lowest first, to numbers (...)."""
    weights = list(accumulate(sizes[:-1], lambda a, b: a * b, initial=1))
    parts = (digit * weight for digit, weight in zip(digits.unbind(-1), weights, strict=True))
    return reduce(add, parts)


def _digits(number: Tensor, sizes: list[int]) -> Tensor:
    """Map numbers (...) to mixed-radix digits (..., n), lowest first."""
    digits = []
    for size in sizes:
        digits.append(number % size)
        number = number // size
    return torch.stack(digits, -1)


def _blocks(first: Sequence[int], second: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """Split two lists of equal product into the shortest blocks of equal products, so that digits
    are joined only where the two lists do not split at the same place.
    """
    first, second = list(first), list(second)
    blocks = []
    while first and second:
        a, b = [first.pop(0)], [second.pop(0)]
        while math.prod(a) != math.prod(b):
            shorter, rest = (a, first) if math.prod(a) < math.prod(b) else (b, second)
            shorter.append(rest.pop(0))
        blocks.append((a, b))
    # All that may be left in one of the lists are ones.
    blocks[-1][0].extend(first)
    blocks[-1][1].extend(second)
    return blocks
