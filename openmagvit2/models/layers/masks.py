"""Attention masks; all of them are made here."""

from collections.abc import Sequence

import torch
from torch import Tensor


def causal_mask(new: int, total: int, device: torch.device) -> Tensor:
    """Return the causal mask of the last ``new`` of ``total`` rows: bool (new, total)."""
    return torch.ones(new, total, dtype=torch.bool, device=device).tril(total - new)


def group_numbers(groups: Sequence[int], device: torch.device) -> Tensor:
    """Return the number of each row's group, int64 (rows,).

    Args:
        groups: Sizes of the groups in order, prefix rows included.
        device: Device of the result, which is created there, as a copy would synchronize.
    """
    parts = [torch.full((size,), number, device=device) for number, size in enumerate(groups)]
    return torch.cat(parts)


def group_mask(numbers: Tensor, new: int, total: int) -> Tensor:
    """Return a block-causal mask: a row attends to its own group and all previous groups.

    Args:
        numbers: Number of each row's group, see :func:`group_numbers`.
        new: Number of query rows, the last ones of ``total``; the others are in a cache.
        total: Number of rows so far.

    Returns:
        bool (new, total), True where a row may attend.
    """
    return numbers[None, :total] <= numbers[total - new : total, None]


def with_prefix(groups: Sequence[int], rows: int) -> tuple[int, ...]:
    """Return the groups of a sequence whose ``rows`` prefix rows belong to the first group."""
    return (groups[0] + rows, *groups[1:])
