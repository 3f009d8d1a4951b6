"""OmniTokenizer's decoder on images: global attention (Wang et al. 2024)."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from openmagvit2.models.decoders.base import BaseDecoder
from openmagvit2.models.layers.grid_blocks import spatial_and_temporal
from openmagvit2.models.layers.init import init_linear
from openmagvit2.registry import DECODERS
from openmagvit2.signatures import Count


@DECODERS.register_module()
class WindowVitDecoder(BaseDecoder):
    """Linear embedding of codes, temporal transformer blocks for a single frame, spatial blocks,
    and a linear layer to the pixels of each patch.

    Args:
        in_channels, out_channels: Number of channels of codes and pixels; set by the tokenizer.
        patch_size, dim, num_heads, head_dim, spatial, temporal, window, positions: See
            :class:`WindowVitEncoder`.
    """

    def __init__(
        self,
        *,
        in_channels: Count,
        out_channels: Count = 3,
        patch_size: Count = 8,
        dim: Count = 512,
        num_heads: Count = 8,
        head_dim: Count = 64,
        spatial: str = 'tttt',
        temporal: str = 'tttt',
        window: Count = 8,
        positions: str = 'rope',
    ) -> None:
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.patch_size = self.upscale = patch_size
        self.num_heads = num_heads
        self.embed = nn.Linear(in_channels, dim)
        self.spatial, self.temporal = spatial_and_temporal(
            spatial, temporal, dim, num_heads, head_dim, window, positions
        )
        self.out = nn.Linear(dim, out_channels * patch_size**2)
        self.apply(init_linear)

    @property
    def last_layer(self) -> Tensor:
        """Weight of the layer that outputs pixels."""
        return self.out.weight

    def forward(
        self, codes: Tensor, size: Sequence[int] | None = None, noise: Tensor | None = None
    ) -> Tensor:
        """Map (B, in_channels, h, w) to (B, out_channels, h * patch_size, w * patch_size)."""
        self.check_size(codes.shape[2:], size)
        x = self.spatial(self.temporal(self.embed(codes.movedim(1, -1))))
        return F.pixel_shuffle(self.out(x).movedim(-1, 1), self.patch_size)
