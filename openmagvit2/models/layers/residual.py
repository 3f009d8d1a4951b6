"""The residual block that every convolutional network here is made of (spec §2.1)."""

import torch.nn.functional as F
from torch import Tensor, nn

from openmagvit2.errors import UserError
from openmagvit2.models.layers.norm import GroupNorm


def group_norm(channels: int) -> nn.GroupNorm:
    """GroupNorm as the paper's networks use it: 32 groups, eps 1e-6, affine."""
    if channels % 32:
        raise UserError(
            f'Channel widths must be multiples of 32 for GroupNorm(32), got {channels}: mend '
            f'`channels`.'
        )
    return GroupNorm(32, channels, eps=1e-6)


class ResidualBlock(nn.Module):
    """GroupNorm, swish, 3x3 convolution, twice, plus the shortcut: (B, C_in, H, W) to (B, C_out, H,
    W).

    No convolution has a bias; a change of width puts a 1x1 convolution of the raw input on the
    shortcut.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.norm1 = group_norm(in_channels)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
        self.norm2 = group_norm(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        if in_channels != out_channels:
            self.nin_shortcut = nn.Conv2d(in_channels, out_channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Same height and width, ``out_channels`` channels."""
        h = self.conv1(F.silu(self.norm1(x)))
        h = self.conv2(F.silu(self.norm2(h)))
        return h + (self.nin_shortcut(x) if hasattr(self, 'nin_shortcut') else x)
