"""Rotary position embedding from positions of any dimension (docs/reference/specification.md)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from openmagvit2.errors import UserError

# Longest wavelength, divided by 2 pi.
BASE = 10000.0


def grid_cells(grid: Sequence[int], device: torch.device | None = None) -> Tensor:
    """Return the coordinates of a grid's cells in raster order: int64 (cells, len(grid))."""
    axes = torch.meshgrid(*(torch.arange(n, device=device) for n in grid), indexing='ij')
    return torch.stack(axes, -1).flatten(0, -2)


def cell_numbers(positions: Tensor, grid: Sequence[int]) -> Tensor:
    """Map coordinates (..., axes) to raster numbers of cells; prefix rows give -1."""
    number = torch.zeros_like(positions[..., 0])
    for side, coordinate in zip(grid, positions.unbind(-1), strict=True):
        number = number * side + coordinate
    return torch.where((positions < 0).any(-1), -1, number)


def rope(positions: Tensor, head_dim: int) -> Tensor:
    """Return the cosines and sines of the rotation angles of channel pairs, for each position.

    The pairs are divided evenly among the axes; the first axis gets the remainder. The j-th of an
    axis with n pairs is rotated by ``coordinate * BASE^(-j / n)``. A row with a negative coordinate
    is a prefix row, such as that of the class: cosine *and* sine are zero, so its query and key
    vanish. Official weights depend on this.

    Args:
        positions: (..., axes), integers or floats.
        head_dim: Width of an attention head, an even number.

    Returns:
        float32 (..., head_dim / 2, 2).

    Raises:
        UserError: ``head_dim`` is odd, or has fewer pairs than there are axes.
    """
    axes = positions.shape[-1]
    pairs, odd = divmod(head_dim, 2)
    if odd or pairs < axes:
        raise UserError(
            f'model.backbone: rotary embedding over {axes} axes needs an even head width of at '
            f'least {2 * axes}, got dim / num_heads = {head_dim}.'
        )
    angles = []
    for axis, coordinates in enumerate(positions.float().unbind(-1)):
        count = pairs // axes + (pairs % axes if axis == 0 else 0)
        steps = torch.arange(count, dtype=torch.float32, device=positions.device)
        angles.append(coordinates[..., None] * BASE ** (-steps / count))
    turned = torch.cat(angles, -1)
    table = torch.stack([turned.cos(), turned.sin()], -1)
    return table.masked_fill((positions < 0).any(-1)[..., None, None], 0.0)


def rope_table(grid: Sequence[int], head_dim: int) -> Tensor:
    """Return :func:`rope` of one prefix row and a grid in raster order, float32 (1 + cells,
    head_dim / 2, 2).
    """
    # On the device 'meta', the first call of `torch.cat` imports PyTorch's compiler: a second.
    cells = grid_cells(grid, torch.device('cpu'))
    table = rope(torch.cat([torch.full_like(cells[:1], -1), cells]), head_dim)
    return table.to(torch.get_default_device())


def apply_rope(x: Tensor, table: Tensor) -> Tensor:
    """Rotate adjacent channel pairs of ``x`` (B, T, heads, head_dim) by ``table`` (T, head_dim / 2,
    2) or (B, T, head_dim / 2, 2); compute and return float32.
    """
    a, b = x.float().unflatten(-1, (-1, 2)).unbind(-1)
    cos, sin = table.unsqueeze(-3).unbind(-1)
    return torch.stack([a * cos - b * sin, b * cos + a * sin], -1).flatten(-2)
