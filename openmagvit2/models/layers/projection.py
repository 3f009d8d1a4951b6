"""Convolutions that map between the widths of a network and a quantizer."""

from torch import Tensor, nn


class Pointwise(nn.Conv1d):
    """1x1 convolution of maps (B, C, *grid) with any number of grid axes."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, in_channels, *grid) to (B, out_channels, *grid)."""
        return super().forward(x.flatten(2)).unflatten(2, x.shape[2:])


def convolution(in_channels: int, out_channels: int, kernel: int = 1) -> nn.Module:
    """Build a convolution that keeps the size of the grid: any grid for a kernel of 1, (h, w) for
    a larger, odd kernel.
    """
    if kernel == 1:
        return Pointwise(in_channels, out_channels)
    return nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2)
