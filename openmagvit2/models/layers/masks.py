"""Attention masks; all of them are made here."""

from collections.abc import Sequence

import torch
from torch import Tensor


def causal_mask(new: int, total: int, device: torch.device) -> Tensor:
    """Return the causal mask of the last ``new`` of ``total`` rows: bool (new, total)."""
    return torch.ones(new, total, dtype=torch.bool, device=device).tril(total - new)


def group_mask(groups: Sequence[int], new: int, total: int, device: torch.device) -> Tensor:
    """Return a block-causal mask: a row attends to its own group and all previous groups.

    Args:
        groups: Sizes of the groups in order, prefix rows included.
        new: Number of query rows, the last ones of ``total``; the others are in a cache.
        total: Number of rows so far.
        device: Device of the mask.

    Returns:
        bool (new, total), True where a row may attend.
    """
    numbers = [number for number, size in enumerate(groups) for _ in range(size)]
    sets = torch.tensor(numbers[:total], device=device)
    return sets[None] <= sets[total - new :, None]


def with_prefix(groups: Sequence[int], rows: int) -> tuple[int, ...]:
    """Return the groups of a sequence whose ``rows`` prefix rows belong to the first group."""
    return (groups[0] + rows, *groups[1:])
