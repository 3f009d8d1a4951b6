"""The residual block of the convolutional networks (docs/reference/specification.md)."""

import torch.nn.functional as F
from torch import Tensor, nn

from openmagvit2.errors import UserError, check_choice
from openmagvit2.models.layers.norm import GroupNorm, norm_silu_conv
from openmagvit2.models.layers.winograd import Conv3x3


def group_norm(channels: int) -> nn.GroupNorm:
    """Build the GroupNorm of the paper's networks: 32 groups, eps 1e-6, affine.

    Raises:
        UserError: ``channels`` is not a multiple of 32.
    """
    if channels % 32:
        raise UserError(
            f'Channel widths must be multiples of 32 for GroupNorm(32), got {channels}: change '
            f'`channels`.'
        )
    return GroupNorm(32, channels, eps=1e-6)


class ResidualBlock(nn.Module):
    """Residual block of twice GroupNorm, SiLU and 3x3 convolution.

    If the width changes, the shortcut is a 1x1 convolution.

    Args:
        in_channels, out_channels: Widths.
        bias: Whether convolutions have biases.
        shortcut: Input of the 1x1 convolution: 'input', or 'branch' for the output of the second
            3x3 convolution, as in MaskGIT's code (google-research/maskgit#3), whose published
            weights require it.
        dropout: Dropout rate before the second convolution, in training.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        bias: bool = False,
        shortcut: str = 'input',
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_choice('shortcut', shortcut, ('input', 'branch'))
        self.shortcut, self.dropout = shortcut, dropout
        self.norm1 = group_norm(in_channels)
        self.conv1 = Conv3x3(in_channels, out_channels, bias=bias)
        self.norm2 = group_norm(out_channels)
        self.conv2 = Conv3x3(out_channels, out_channels, bias=bias)
        self.nin_shortcut = None
        if in_channels != out_channels:
            read = in_channels if shortcut == 'input' else out_channels
            self.nin_shortcut = nn.Conv2d(read, out_channels, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, in_channels, H, W) to (B, out_channels, H, W)."""
        if self.dropout and self.training:
            h = norm_silu_conv(self.norm1, self.conv1, x)
            h = self.conv2(F.dropout(F.silu(self.norm2(h)), self.dropout))
        else:
            # One expression, so that the first map is freed before the second convolution runs.
            h = norm_silu_conv(self.norm2, self.conv2, norm_silu_conv(self.norm1, self.conv1, x))
        if self.nin_shortcut is not None:
            x = self.nin_shortcut(x if self.shortcut == 'input' else h)
        return h + x
