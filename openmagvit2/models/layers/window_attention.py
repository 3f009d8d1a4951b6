"""Attention within square windows of a grid, with a learned relative position bias (Swin)."""

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from openmagvit2.models.layers.arguments import check_heads
from openmagvit2.models.layers.rope import grid_cells


class WindowAttention(nn.Module):
    """Attention of each cell to those of its window; windows neither overlap nor shift.

    Args:
        dim, num_heads: Width and number of heads.
        window: Side of a window in cells.

    Raises:
        UserError: ``num_heads`` does not divide ``dim``.
    """

    offsets: Tensor

    def __init__(self, dim: int, num_heads: int, window: int) -> None:
        super().__init__()
        check_heads(dim, num_heads)
        self.num_heads, self.window = num_heads, window
        self.norm = nn.LayerNorm(dim, bias=False)
        self.qkv, self.proj = nn.Linear(dim, 3 * dim, bias=False), nn.Linear(dim, dim)
        self.bias = nn.Parameter(torch.randn((2 * window - 1) ** 2, num_heads) * 0.02)
        self.register_buffer('offsets', offset_numbers(window, window), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, h, w, dim) to the same shape; ``window`` must divide h and w."""
        height, width, size = *x.shape[1:3], self.window
        split = dict(a=size, b=size, n=self.num_heads)
        qkv = self.qkv(self.norm(x)).chunk(3, -1)
        pattern = 'B (i a) (j b) (n d) -> (B i j) n (a b) d'
        q, k, v = (rearrange(part, pattern, **split) for part in qkv)
        bias = self.bias[self.offsets].permute(2, 0, 1)
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=bias[None].to(q.dtype))
        sides = dict(i=height // size, j=width // size, a=size, b=size)
        return self.proj(rearrange(out, '(B i j) n (a b) d -> B (i a) (j b) (n d)', **sides))


def offset_numbers(height: int, width: int, device: torch.device | None = None) -> Tensor:
    """Number the offsets between the cells of a grid in raster order.

    Returns:
        int64 (cells, cells): (query row - key row + height - 1) (2 width - 1) + query column - key
        column + width - 1.
    """
    rows, columns = grid_cells((height, width), device).unbind(-1)
    down = rows[:, None] - rows + height - 1
    return down * (2 * width - 1) + columns[:, None] - columns + width - 1
