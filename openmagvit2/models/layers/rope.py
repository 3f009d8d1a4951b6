"""Two-dimensional rotary position embedding of the official models (spec §4.3)."""

import torch
from torch import Tensor

from openmagvit2.errors import UserError


def rope_table(grid: tuple[int, int], head_dim: int, base: float = 10000.0) -> Tensor:
    """Cosines and sines for a class token and a grid, float32 (1 + h * w, head_dim / 2, 2).

    The first half of the pairs turns with the row, the second with the column. The class position
    has cosine *and* sine zero, which makes its query and key vanish: official weights depend on it.
    """
    if head_dim % 4:
        raise UserError(
            f'The width of an attention head must be a multiple of 4 for 2-D RoPE, got {head_dim}.'
        )
    theta = base ** (-torch.arange(0, head_dim, 4, dtype=torch.float32) / head_dim)
    rows, columns = torch.meshgrid(
        *(torch.arange(n, dtype=torch.float32) for n in grid), indexing='ij'
    )
    angles = torch.cat([torch.outer(axis.flatten(), theta) for axis in (rows, columns)], 1)
    table = torch.stack([angles.cos(), angles.sin()], -1)
    return torch.cat([torch.zeros_like(table[:1]), table])


def apply_rope(x: Tensor, table: Tensor) -> Tensor:
    """Rotate adjacent pairs of ``x`` (B, T, heads, head_dim) by ``table`` (T, head_dim / 2, 2), in
    float32.
    """
    a, b = x.float().unflatten(-1, (-1, 2)).unbind(-1)
    cos, sin = table[:, None].unbind(-1)
    return torch.stack([a * cos - b * sin, b * cos + a * sin], -1).flatten(-2)
