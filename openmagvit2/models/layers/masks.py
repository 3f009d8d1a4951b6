"""Which rows of a sequence see which: the one place where attention masks are made."""

from collections.abc import Sequence

import torch
from torch import Tensor


def causal_mask(new: int, total: int, device: torch.device) -> Tensor:
    """Return True where one of the last ``new`` of ``total`` rows may look: bool (new, total)."""
    return torch.ones(new, total, dtype=torch.bool, device=device).tril(total - new)


def set_numbers(groups: Sequence[int], device: torch.device) -> Tensor:
    """Number the sets of a sequence: int64 (rows,), the set of each row.

    Args:
        groups: Sizes of the sets in order, prefix rows included.
        device: Device of the numbers; they are made there, because a copy would wait for it.
    """
    sizes = enumerate(groups)
    return torch.cat([torch.full((size,), number, device=device) for number, size in sizes])


def group_mask(sets: Tensor, new: int, total: int) -> Tensor:
    """Return the mask of a sequence in sets: a row sees its own set and all sets before.

    Args:
        sets: The set of each row, see :func:`set_numbers`.
        new: The last rows of ``total``, which look; the others are in a cache.
        total: Rows so far.

    Returns:
        bool (new, total), True where a row may look.
    """
    return sets[None, :total] <= sets[total - new : total, None]


def with_prefix(groups: Sequence[int], rows: int) -> tuple[int, ...]:
    """Return sets of tokens, and ``rows`` prefix rows in front, which belong to the first set."""
    return (groups[0] + rows, *groups[1:])
