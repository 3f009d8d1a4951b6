"""Down- and upsampling layers of encoder and decoder; each is one row of the paper's Table 2."""

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from openmagvit2.models.layers.winograd import Conv3x3


class PaddedConv(nn.Conv2d):
    """Stride-2 convolution with zero padding at the bottom and right only, as in taming's VQGAN
    (docs/reference/specification.md).
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C, H/2, W/2)."""
        return super().forward(F.pad(x, (0, 1, 0, 1)))


class DepthToSpace(nn.Module):
    """Learned upsampling: 3x3 convolution to four times the channels, then depth-to-space
    (docs/reference/specification.md).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = Conv3x3(channels, 4 * channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C, 2H, 2W)."""
        return depth_to_space(self.conv1(x))


class NearestConv(nn.Module):
    """Nearest-neighbor upsampling and a 3x3 convolution, which depth-to-space replaced."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = Conv3x3(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C, 2H, 2W)."""
        return self.conv(F.interpolate(x, scale_factor=2, mode='nearest'))


def depth_to_space(x: Tensor) -> Tensor:
    """Map (B, 4C, H, W) to (B, C, 2H, 2W) in DCR order.

    ``pixel_shuffle`` has another order, which does not fit official weights. The memory format is
    kept, so that channels-last networks need no second copy.
    """
    if x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous():
        last = rearrange(x.permute(0, 2, 3, 1), 'b h w (p q c) -> b (h p) (w q) c', p=2, q=2)
        return last.permute(0, 3, 1, 2)
    return rearrange(x, 'b (p q c) h w -> b c (h p) (w q)', p=2, q=2)


DOWNSAMPLERS = {
    'strided_conv': lambda channels: nn.Conv2d(channels, channels, 3, stride=2, padding=1),
    'avg_pool': lambda channels: nn.AvgPool2d(2),
    'padded_conv': PaddedConv,
}
UPSAMPLERS = {'depth_to_space': DepthToSpace, 'nearest_conv': NearestConv}
