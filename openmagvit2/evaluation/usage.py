"""How often each code of each codebook occurs: counts, and what they say."""

from collections.abc import Sequence

import torch
from torch import Tensor

from openmagvit2.errors import UserError


def count(indices: Tensor, sizes: Sequence[int], who: str) -> Tensor:
    """Occurrences of each code, one codebook after the other.

    Args:
        indices: Whole numbers (..., codebooks); of a single codebook of any shape.
        sizes: Codes of each codebook.
        who: Counts; for the error.

    Returns:
        int64 (sum of ``sizes``,), on the device of ``indices``.

    Raises:
        UserError: An index is not in its codebook: the quantizer or its ``codebook_sizes`` is
            wrong.
    """
    digits = indices.reshape(-1, len(sizes))
    limits = torch.tensor(sizes, device=digits.device)
    wrong = ((digits < 0) | (digits >= limits)).nonzero()
    if len(wrong):
        row, book = wrong[0].tolist()
        of = f' in codebook {book}' if len(sizes) > 1 else ''
        raise UserError(
            f'{who}: the quantizer gave the index {digits[row, book].item()}{of}, but its '
            f'codebook_size is {sizes[book]}; correct one of the two.'
        )
    starts = limits.cumsum(0) - limits
    return torch.bincount((digits + starts).flatten(), minlength=sum(sizes))


def summary(counts: Tensor, sizes: Sequence[int]) -> dict[str, float]:
    """``usage``, ``usage_of_possible`` and ``perplexity``: means over the codebooks; where there
    are several also those of each, as ``usage_<n>``.

    Args:
        counts: Of :func:`count`; not all zero.
        sizes: Codes of each codebook.
    """
    books = [_of_one(book) for book in counts.split(list(sizes))]
    values = {name: sum(book[name] for book in books) / len(books) for name in books[0]}
    for number, book in enumerate(books if len(books) > 1 else []):
        values |= {f'{name}_{number}': value for name, value in book.items()}
    return values


def _of_one(counts: Tensor) -> dict[str, float]:
    used, tokens = int((counts > 0).sum()), int(counts.sum())
    p = counts[counts > 0].double() / tokens
    return dict(
        usage=used / len(counts),
        usage_of_possible=used / min(len(counts), tokens),
        perplexity=(-(p * p.log()).sum()).exp().item(),
    )
