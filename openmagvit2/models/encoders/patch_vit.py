"""ViT-VQGAN's encoder: a vision transformer over patches (Yu et al. 2022)."""

from collections.abc import Sequence
from functools import partial

from torch import Tensor, nn

from openmagvit2.models.encoders.base import BaseEncoder
from openmagvit2.models.layers.arguments import as_pair
from openmagvit2.models.layers.init import init_xavier
from openmagvit2.models.layers.plain_vit import sine_positions
from openmagvit2.models.layers.vit import patch_grid
from openmagvit2.models.layers.vit_block import VitBlock
from openmagvit2.registry import ENCODERS
from openmagvit2.signatures import Count


@ENCODERS.register_module()
class VitEncoder(BaseEncoder):
    """Patch embedding, fixed sine positions, transformer blocks, and a linear layer to ``z``.

    The defaults are ViT-VQGAN-base's.

    Args:
        out_channels: Number of channels of ``z``; set by the tokenizer.
        image_size: Height and width of the images, or one number for both.
        patch_size: Side of a patch in pixels.
        dim, num_layers, num_heads: Width, number of blocks and number of heads.
        head_dim: Width of a head.
        hidden: Hidden width of the feed-forward.
        activation: Activation of the feed-forward: 'tanh' or 'gelu'.
    """

    positions: Tensor

    def __init__(
        self,
        *,
        out_channels: Count,
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
        self.out_channels, self.image_size = out_channels, as_pair(image_size)
        self.stride = (patch_size, patch_size)
        height, width = patch_grid(self.image_size, patch_size)
        self.patch_embed = nn.Conv2d(3, dim, patch_size, stride=patch_size)
        self.register_buffer('positions', sine_positions(height, width, dim), persistent=False)
        block = partial(VitBlock, dim, num_heads, hidden, activation, head_dim=head_dim)
        self.blocks = nn.Sequential(*(block() for _ in range(num_layers)))
        self.norm = nn.LayerNorm(dim)
        self.apply(init_xavier)
        self.out = nn.Linear(dim, out_channels)

    def forward(self, image: Tensor) -> Tensor:
        """Map (B, 3, *image_size) to (B, out_channels, h, w)."""
        self.check_size(image.shape[2:])
        x = self.patch_embed(image).flatten(2).transpose(1, 2) + self.positions
        z = self.out(self.norm(self.blocks(x)))
        return z.transpose(1, 2).unflatten(2, self.grid(image.shape[2:]))
