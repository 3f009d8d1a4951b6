"""The vision transformer of BSQ-ViT, and the fixed positions of ViT-VQGAN."""

import torch
from torch import Tensor, nn

from openmagvit2.errors import UserError
from openmagvit2.models.layers.rope import grid_cells
from openmagvit2.models.layers.vit_block import VitBlock


class PlainVit(nn.Module):
    """Pre-norm blocks with biases and GELU between an input and an output norm (BSQ-ViT).

    Args:
        dim, num_layers, num_heads: Width, number of blocks and number of heads.
        hidden: Hidden width of the feed-forward; 4 * dim by default.
    """

    def __init__(self, dim: int, num_layers: int, num_heads: int, hidden: int | None) -> None:
        super().__init__()
        self.norm_in, self.norm_out = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.blocks = nn.Sequential(
            *(VitBlock(dim, num_heads, hidden, qkv_bias=True) for _ in range(num_layers))
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, S, dim), positions added, to the same shape."""
        return self.norm_out(self.blocks(self.norm_in(x)))


def sine_positions(height: int, width: int, dim: int) -> Tensor:
    """Return fixed position embeddings of a grid in raster order, (height * width, dim).

    The quarters of the channels are sin(c w), cos(c w), sin(r w), cos(r w) for column c and row r,
    with w_i = 10000^(-4 i / dim).

    Raises:
        UserError: ``dim`` is not divisible by 4.
    """
    if dim % 4:
        raise UserError(f'dim={dim} must be divisible by 4 for sine and cosine of two axes.')
    omega = 10000 ** (-torch.arange(dim // 4, dtype=torch.float64, device='cpu') / (dim / 4))
    rows, columns = grid_cells((height, width), torch.device('cpu')).unbind(-1)
    angles = [axis[:, None] * omega for axis in (columns, rows)]
    return torch.cat([f(a) for a in angles for f in (torch.sin, torch.cos)], 1).float()
