"""OmniTokenizer's transformer blocks over the cells of a grid, for a single frame."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from openmagvit2.errors import UserError, check_choice
from openmagvit2.models.layers.rope import apply_rope, grid_cells
from openmagvit2.models.layers.window_attention import WindowAttention, offset_numbers


class Peg(nn.Conv2d):
    """Depthwise 3x3 convolution that encodes positions (conditional position encoding)."""

    def __init__(self, dim: int) -> None:
        super().__init__(dim, dim, 3, padding=1, groups=dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, h, w, dim) to the same shape."""
        return super().forward(x.movedim(-1, 1)).movedim(1, -1)


class GatedFeedForward(nn.Sequential):
    """LayerNorm and ``out(a * gelu(b))``, where a and b are projections, each 8/3 as wide."""

    def __init__(self, dim: int) -> None:
        inner = int(4 * (2 / 3) * dim)
        super().__init__(
            nn.LayerNorm(dim),
            nn.Linear(dim, 2 * inner, bias=False),
            Gate(),
            nn.Linear(inner, dim, bias=False),
        )


class Gate(nn.Module):
    """Multiply the first half of the channels by the GELU of the second."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., 2 n) to (..., n)."""
        a, b = x.chunk(2, -1)
        return a * F.gelu(b)


class OffsetBias(nn.Module):
    """MLP that computes a bias for each head and each offset between two cells."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(2, dim),
            nn.LeakyReLU(0.1),
            nn.Linear(dim, dim),
            nn.LeakyReLU(0.1),
            nn.Linear(dim, num_heads),
        )

    def forward(self, height: int, width: int) -> Tensor:
        """Return the bias of the attention logits of a grid, (num_heads, cells, cells)."""
        weight = next(self.layers.parameters())
        rows, columns = (torch.arange(1 - n, n, device=weight.device) for n in (height, width))
        offsets = torch.cartesian_prod(rows, columns).to(weight.dtype)
        values = self.layers(offsets.sign() * offsets.abs().log1p())
        numbers = offset_numbers(height, width, weight.device)
        return values[numbers].permute(2, 0, 1)


class GridAttention(nn.Module):
    """Full cosine attention with learned scales per channel and a factor of 8 on the logits; only
    queries are computed from normalized cells.

    Args:
        dim, num_heads, head_dim: Width, number of heads and width of a head, which is independent
            of ``dim``.
        positions: 'rope' rotates pairs of channels, alternately by column and by row; 'bias' adds
            :class:`OffsetBias`.

    Raises:
        UserError: ``positions`` is 'rope' and ``head_dim`` is not divisible by 4.
    """

    def __init__(self, dim: int, num_heads: int, head_dim: int, positions: str) -> None:
        super().__init__()
        check_choice('positions', positions, ('rope', 'bias'))
        if positions == 'rope' and head_dim % 4:
            raise UserError(f'head_dim={head_dim} must be divisible by 4 for rotary positions.')
        inner = num_heads * head_dim
        self.num_heads, self.head_dim, self.positions = num_heads, head_dim, positions
        self.norm = nn.LayerNorm(dim, bias=False)
        self.query = nn.Linear(dim, inner, bias=False)
        self.key_value = nn.Linear(dim, 2 * inner, bias=False)
        self.out = nn.Linear(inner, dim, bias=False)
        self.query_scale = nn.Parameter(torch.ones(head_dim))
        self.key_scale = nn.Parameter(torch.ones(head_dim))
        self.bias = OffsetBias(dim, num_heads) if positions == 'bias' else None

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, h, w, dim) to the same shape."""
        sides = height, width = x.shape[1:3]
        cells = x.flatten(1, 2)
        parts = self.query(self.norm(cells)), *self.key_value(cells).chunk(2, -1)
        q, k, v = (part.unflatten(-1, (self.num_heads, -1)) for part in parts)
        if self.positions == 'rope':
            table = turns(height, width, self.head_dim, x.device)
            q, k = apply_rope(q, table), apply_rope(k, table)
        q = F.normalize(q.float(), dim=-1) * self.query_scale
        k = F.normalize(k.float(), dim=-1) * self.key_scale
        q, k, v = (part.to(v.dtype).transpose(1, 2) for part in (q, k, v))
        mask = None if self.bias is None else self.bias(height, width)[None].to(v.dtype)
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=8.0)
        return self.out(out.transpose(1, 2).flatten(2)).unflatten(1, sides)


def turns(height: int, width: int, head_dim: int, device: torch.device) -> Tensor:
    """Return the table for :func:`apply_rope`, float32 (height * width, head_dim / 2, 2).

    Pair 2 k is rotated by column / 10000^(4 k / head_dim), pair 2 k + 1 likewise by row.
    """
    steps = torch.arange(head_dim // 4, dtype=torch.float32, device=device) * (4 / head_dim)
    theta = 10000.0**-steps
    rows, columns = grid_cells((height, width), device).unbind(-1)
    angles = torch.stack([columns[:, None] * theta, rows[:, None] * theta], -1).flatten(1)
    return torch.stack([angles.cos(), angles.sin()], -1)


class FrameAttention(nn.Module):
    """Attention over the frames of a cell; for an image, a single frame, it is the value only."""

    def __init__(self, dim: int, inner: int) -> None:
        super().__init__()
        self.value = nn.Linear(dim, inner, bias=False)
        self.out = nn.Linear(inner, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, h, w, dim) to the same shape."""
        return self.out(self.value(x))


class GridBlock(nn.Module):
    """Residual position encoding, attention and feed-forward; window blocks have no ``peg``."""

    def __init__(self, dim: int, attention: nn.Module, peg: bool = True) -> None:
        super().__init__()
        self.peg = Peg(dim) if peg else None
        self.attention, self.feed_forward = attention, GatedFeedForward(dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, h, w, dim) to the same shape."""
        if self.peg is not None:
            x = x + self.peg(x)
        x = x + self.attention(x)
        return x + self.feed_forward(x)


class GridTransformer(nn.Module):
    """A sequence of blocks and a final norm.

    Args:
        dim: Width.
        blocks: Modules that map (B, h, w, dim) to the same shape.
    """

    def __init__(self, dim: int, blocks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.blocks, self.norm = nn.Sequential(*blocks), nn.LayerNorm(dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, h, w, dim) to the same shape."""
        return self.norm(self.blocks(x))


def spatial_and_temporal(
    spatial: str,
    temporal: str,
    dim: int,
    num_heads: int,
    head_dim: int,
    window: int,
    positions: str,
) -> tuple[GridTransformer, GridTransformer]:
    """Build the spatial and the temporal transformer of an encoder or decoder.

    Args:
        spatial: One letter per block: 't' attends over all cells, 'w' within windows.
        temporal: One letter 't' per block over frames.
        dim, num_heads, head_dim, positions: See :class:`GridAttention`; in windows, the width of a
            head is dim / num_heads.
        window: Side of a window in cells.

    Raises:
        UserError: ``spatial`` or ``temporal`` has another letter.
    """
    own: dict[str, Any] = dict(
        t=partial(GridAttention, dim, num_heads, head_dim, positions),
        w=partial(WindowAttention, dim, num_heads, window),
    )
    for key, letters, known in (('spatial', spatial, 'tw'), ('temporal', temporal, 't')):
        if set(letters) - set(known):
            raise UserError(f'{key} must have one letter of {known!r} per block, got {letters!r}.')
    blocks = [GridBlock(dim, own[letter](), peg=letter == 't') for letter in spatial]
    frames = [GridBlock(dim, FrameAttention(dim, num_heads * head_dim)) for _ in temporal]
    return GridTransformer(dim, blocks), GridTransformer(dim, frames)
