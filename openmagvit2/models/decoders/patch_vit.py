"""ViT-VQGAN's decoder: a vision transformer from codes to patches (Yu et al. 2022)."""

from collections.abc import Sequence
from functools import partial

from torch import Tensor, nn

from openmagvit2.models.decoders.base import BaseDecoder
from openmagvit2.models.layers.arguments import as_pair
from openmagvit2.models.layers.init import init_xavier
from openmagvit2.models.layers.plain_vit import sine_positions
from openmagvit2.models.layers.vit import patch_grid
from openmagvit2.models.layers.vit_block import VitBlock
from openmagvit2.registry import DECODERS
from openmagvit2.signatures import Count


@DECODERS.register_module()
class VitDecoder(BaseDecoder):
    """Linear embedding of codes, fixed sine positions, transformer blocks, and a transposed
    convolution to pixels; mirrors :class:`VitEncoder` and its arguments.
    """

    positions: Tensor

    def __init__(
        self,
        *,
        in_channels: Count,
        out_channels: Count = 3,
        image_size: Count | Sequence[Count] = 256,
        patch_size: Count = 8,
        dim: Count = 768,
        num_layers: int = 12,
        num_heads: Count = 12,
        head_dim: Count = 64,
        hidden: Count = 3072,
        activation: str = 'tanh',
    ) -> None:
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.image_size: tuple[int, ...] = as_pair(image_size)
        self.grid = height, width = patch_grid(self.image_size, patch_size)
        self.register_buffer('positions', sine_positions(height, width, dim), persistent=False)
        block = partial(VitBlock, dim, num_heads, hidden, activation, head_dim=head_dim)
        self.blocks = nn.Sequential(*(block() for _ in range(num_layers)))
        self.norm = nn.LayerNorm(dim)
        self.to_pixels = nn.ConvTranspose2d(dim, out_channels, patch_size, stride=patch_size)
        self.apply(init_xavier)
        self.embed = nn.Linear(in_channels, dim)

    @property
    def last_layer(self) -> Tensor:
        """Weight of the transposed convolution."""
        return self.to_pixels.weight

    def forward(
        self, codes: Tensor, size: Sequence[int] | None = None, noise: Tensor | None = None
    ) -> Tensor:
        """Map (B, in_channels, h, w) to (B, out_channels, *image_size)."""
        self.check_size(codes.shape[2:], size)
        x = self.embed(codes.flatten(2).transpose(1, 2)) + self.positions
        x = self.norm(self.blocks(x)).transpose(1, 2)
        return self.to_pixels(x.unflatten(2, codes.shape[2:]))
