"""OmniTokenizer's encoder on images: window and global attention (Wang et al. 2024)."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from openmagvit2.errors import UserError
from openmagvit2.models.encoders.base import BaseEncoder
from openmagvit2.models.layers.arguments import written
from openmagvit2.models.layers.grid_blocks import spatial_and_temporal
from openmagvit2.models.layers.init import init_linear
from openmagvit2.registry import ENCODERS
from openmagvit2.signatures import Count


@ENCODERS.register_module()
class WindowVitEncoder(BaseEncoder):
    """Embedding of normalized patches, spatial transformer blocks, temporal blocks for a single
    frame, and a linear layer to ``z``; the defaults are OmniTokenizer's.

    Args:
        out_channels: Number of channels of ``z``; set by the tokenizer.
        patch_size: Side of a patch in pixels.
        dim, num_heads, head_dim, positions: See :class:`GridAttention`.
        spatial, temporal, window: See :func:`spatial_and_temporal`; with window blocks, ``window``
            times ``patch_size`` must divide the sides of images.
    """

    def __init__(
        self,
        *,
        out_channels: Count,
        patch_size: Count = 8,
        dim: Count = 512,
        num_heads: Count = 8,
        head_dim: Count = 64,
        spatial: str = 'ttww',
        temporal: str = 'tttt',
        window: Count = 8,
        positions: str = 'rope',
    ) -> None:
        super().__init__()
        self.out_channels, self.patch_size = out_channels, patch_size
        self.stride = (patch_size, patch_size)
        self.num_heads = num_heads
        self.unit = patch_size * window if 'w' in spatial else patch_size
        inside = 3 * patch_size**2
        self.patch_embed = nn.Sequential(
            nn.LayerNorm(inside), nn.Linear(inside, dim), nn.LayerNorm(dim)
        )
        self.spatial, self.temporal = spatial_and_temporal(
            spatial, temporal, dim, num_heads, head_dim, window, positions
        )
        self.out = nn.Linear(dim, out_channels)
        self.apply(init_linear)

    def check_size(self, size: Sequence[int]) -> None:
        """See :meth:`BaseEncoder.check_size`.

        Raises:
            UserError: Also if windows do not divide a side.
        """
        super().check_size(size)
        if any(side % self.unit for side in size):
            raise UserError(
                f'The image is {written(size)}; height and width must be divisible by '
                f'{self.unit}, the side of a window in pixels. Pad or resize it.'
            )

    def forward(self, image: Tensor) -> Tensor:
        """Map (B, 3, H, W) to (B, out_channels, h, w)."""
        self.check_size(image.shape[2:])
        x = self.patch_embed(F.pixel_unshuffle(image, self.patch_size).movedim(1, -1))
        return self.out(self.temporal(self.spatial(x))).movedim(-1, 1)
