"""How often the codes of codebooks occur: a table, or sorted values for a large codebook."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

import torch
from mmengine.dist import all_gather_object, all_reduce
from torch import Tensor

from openmagvit2.errors import UserError

# Size of the largest codebook whose counts are a table (128 MB); for a larger one, only the codes
# that occur are counted.
LARGEST_TABLE = 2**24


@dataclass
class Book:
    """Occurrences of the codes of one codebook.

    Attributes:
        size: Number of codes.
        counts: Integers (n,).
        values: The code of each count, int64 (n,), ascending; None for all codes in order.
    """

    size: int
    counts: Tensor
    values: Tensor | None = None

    @classmethod
    def of(cls, digits: Tensor, size: int) -> 'Book':
        """Count codes int64 (n,), on their device."""
        if size <= LARGEST_TABLE:
            return cls(size, torch.bincount(digits, minlength=size))
        values, counts = digits.unique(return_counts=True)
        return cls(size, counts, values)

    def __add__(self, other: 'Book') -> 'Book':
        if self.values is None or other.values is None:
            return Book(self.size, self.counts + other.counts)
        both = torch.cat([self.values, other.values])
        values, places = both.unique(return_inverse=True)
        counts = torch.cat([self.counts, other.counts])
        return Book(self.size, counts.new_zeros(len(values)).index_add(0, places, counts), values)

    def summed(self) -> 'Book':
        """Return the sum over all processes, on the CPU; all processes must call this together."""
        if self.values is not None:
            own = Book(self.size, self.counts.cpu(), self.values.cpu())
            return reduce(add, all_gather_object(own))
        counts = self.counts.clone()
        all_reduce(counts)
        return Book(self.size, counts.cpu())

    @property
    def used(self) -> int:
        """Number of codes that occur."""
        return int((self.counts > 0).sum())

    @property
    def possible(self) -> int:
        """Number of codes that this number of tokens could use."""
        return min(self.size, int(self.counts.sum()))

    def numbers(self) -> dict[str, float]:
        """Return ``usage``, ``usage_of_possible`` and ``perplexity``; needs at least one code."""
        p = self.counts[self.counts > 0].double() / int(self.counts.sum())
        return dict(
            usage=self.used / self.size,
            usage_of_possible=self.used / self.possible,
            perplexity=(-(p * p.log()).sum()).exp().item(),
        )


def count(indices: Tensor, sizes: Sequence[int], who: str) -> list[Book]:
    """Count the codes of each codebook.

    Args:
        indices: Integers (..., codebooks); for a single codebook, of any shape.
        sizes: Number of codes of each codebook.
        who: Name of the caller, for the error.

    Raises:
        UserError: An index is outside its codebook: the quantizer or its ``codebook_sizes`` is
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
    """Average :meth:`Book.numbers` over codebooks; with several, add those of each, such as
    ``usage_<n>``.
    """
    every = [book.numbers() for book in books]
    values = {name: sum(book[name] for book in every) / len(every) for name in every[0]}
    for number, book in enumerate(every if len(every) > 1 else []):
        values |= {f'{name}_{number}': value for name, value in book.items()}
    return values
