"""BSQ-ViT's encoder: a vision transformer with learned positions (Zhao et al. 2024)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from openmagvit2.models.encoders.base import BaseEncoder
from openmagvit2.models.layers.arguments import as_pair
from openmagvit2.models.layers.init import init_normal
from openmagvit2.models.layers.plain_vit import PlainVit
from openmagvit2.models.layers.vit import patch_grid
from openmagvit2.registry import ENCODERS
from openmagvit2.signatures import Count


@ENCODERS.register_module()
class PlainVitEncoder(BaseEncoder):
    """Patch embedding without bias, learned positions, transformer blocks between two norms, and a
    linear layer to ``z``.

    The defaults are BSQ-ViT's.

    Args:
        out_channels: Number of channels of ``z``; set by the tokenizer.
        image_size: Height and width of the images, or one number for both.
        patch_size: Side of a patch in pixels.
        dim, num_layers, num_heads: Width, number of blocks and number of heads.
        hidden: Hidden width of the feed-forward; 4 * dim by default.
    """

    def __init__(
        self,
        *,
        out_channels: Count,
        image_size: Count | Sequence[Count] = 256,
        patch_size: Count = 8,
        dim: Count = 768,
        num_layers: int = 12,
        num_heads: Count = 12,
        hidden: Count | None = None,
    ) -> None:
        super().__init__()
        self.out_channels, self.image_size = out_channels, as_pair(image_size)
        self.stride = (patch_size, patch_size)
        height, width = patch_grid(self.image_size, patch_size)
        self.patch_embed = nn.Conv2d(3, dim, patch_size, stride=patch_size, bias=False)
        self.positions = nn.Parameter(torch.randn(height * width, dim) * 0.02)
        self.vit = PlainVit(dim, num_layers, num_heads, hidden)
        self.out = nn.Linear(dim, out_channels)
        self.apply(init_normal)

    def forward(self, image: Tensor) -> Tensor:
        """Map (B, 3, *image_size) to (B, out_channels, h, w)."""
        self.check_size(image.shape[2:])
        x = self.patch_embed(image).flatten(2).transpose(1, 2) + self.positions
        return self.out(self.vit(x)).transpose(1, 2).unflatten(2, self.grid(image.shape[2:]))
