"""Which rows of a sequence see which: the one place where attention masks are made."""

from collections.abc import Sequence

import torch
from torch import Tensor


def causal_mask(new: int, total: int, device: torch.device) -> Tensor:
    """Return True where one of the last ``new`` of ``total`` rows may look: bool (new, total)."""
    return torch.ones(new, total, dtype=torch.bool, device=device).tril(total - new)


def group_mask(groups: Sequence[int], new: int, total: int, device: torch.device) -> Tensor:
    """Return the mask of a sequence in sets: a row sees its own set and all sets before.

    Args:
        groups: Sizes of the sets in order, prefix rows included.
        new: The last rows of ``total``, which look; the others are in a cache.
        total: Rows so far.
        device: Device of the mask.

    Returns:
        bool (new, total), True where a row may look.
    """
    numbers = [number for number, size in enumerate(groups) for _ in range(size)]
    sets = torch.tensor(numbers[:total], device=device)
    return sets[None] <= sets[total - new :, None]


def with_prefix(groups: Sequence[int], rows: int) -> tuple[int, ...]:
    """Return sets of tokens, and ``rows`` prefix rows in front, which belong to the first set."""
    return (groups[0] + rows, *groups[1:])
