"""Reconstruction losses on pixels."""

from torch import Tensor, nn

from openmagvit2.registry import LOSSES


class ReconstructionLoss(nn.Module):
    """``loss(out, target) -> scalar`` on pixels in the range of the networks (``pixels``).

    Other losses see images in [-1, 1]: ``loss(reconstruction, image)``.
    """


@LOSSES.register_module()
class L1Loss(ReconstructionLoss):
    """Mean absolute difference (the paper's)."""

    def forward(self, out: Tensor, target: Tensor) -> Tensor:
        """Map the network's output and its target, two (B, C, *size), to a scalar."""
        return (out - target).abs().mean()


@LOSSES.register_module()
class L2Loss(ReconstructionLoss):
    """Mean squared difference (LlamaGen's)."""

    def forward(self, out: Tensor, target: Tensor) -> Tensor:
        """Map the network's output and its target, two (B, C, *size), to a scalar."""
        return (out - target).square().mean()
