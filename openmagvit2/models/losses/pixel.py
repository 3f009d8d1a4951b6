"""Reconstruction losses on pixels."""

from torch import Tensor, nn

from openmagvit2.registry import LOSSES


@LOSSES.register_module()
class L1Loss(nn.Module):
    """Mean absolute difference (the paper's)."""

    def forward(self, reconstruction: Tensor, image: Tensor) -> Tensor:
        """Two (B, 3, H, W) in [-1, 1] to a scalar."""
        return (reconstruction - image).abs().mean()


@LOSSES.register_module()
class L2Loss(nn.Module):
    """Mean squared difference (LlamaGen's)."""

    def forward(self, reconstruction: Tensor, image: Tensor) -> Tensor:
        """Two (B, 3, H, W) in [-1, 1] to a scalar."""
        return (reconstruction - image).square().mean()
