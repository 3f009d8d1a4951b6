"""Counts of the codes of each codebook, and statistics of them."""

from collections.abc import Sequence

import torch
from torch import Tensor

from openmagvit2.errors import UserError
from openmagvit2.evaluation.book import Book


def count(indices: Tensor, sizes: Sequence[int], who: str) -> list[Book]:
    """Count the codes of each codebook.

    Args:
        indices: Whole numbers (..., codebooks); of a single codebook of any shape.
        sizes: Codes of each codebook.
        who: Name of the caller, for the error.

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
    return [Book.of(*pair) for pair in zip(digits.unbind(1), sizes, strict=True)]


def summary(books: Sequence[Book]) -> dict[str, float]:
    """Average :meth:`Book.numbers` over codebooks; add each codebook's as ``usage_<n>``."""
    every = [book.numbers() for book in books]
    values = {name: sum(book[name] for book in every) / len(every) for name in every[0]}
    for number, book in enumerate(every if len(every) > 1 else []):
        values |= {f'{name}_{number}': value for name, value in book.items()}
    return values
