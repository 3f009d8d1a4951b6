"""Reconstruction losses on pixels."""

from torch import Tensor, nn

from openmagvit2.errors import UserError
from openmagvit2.registry import LOSSES


class ReconstructionLoss(nn.Module):
    """Base class of losses on the decoder's output, ``loss(out, target) -> scalar``, in the range
    of the networks (``pixels``).

    Other losses take images in [-1, 1]: ``loss(reconstruction, image)``.

    """


@LOSSES.register_module()
class L1Loss(ReconstructionLoss):
    """Mean absolute difference (the paper's)."""

    def forward(self, out: Tensor, target: Tensor) -> Tensor:
        """Map the network's output and its target, both (B, C, *size), to a scalar."""
        return (out - target).abs().mean()


@LOSSES.register_module()
class L2Loss(ReconstructionLoss):
    """Mean squared difference (LlamaGen's)."""

    def forward(self, out: Tensor, target: Tensor) -> Tensor:
        """Map the network's output and its target, both (B, C, *size), to a scalar."""
        return (out - target).square().mean()


@LOSSES.register_module()
class ImageL2Loss(nn.Module):
    """Mean squared difference of the images themselves, for decoders whose output is not an
    image.
    """

    def forward(self, reconstruction: Tensor, image: Tensor) -> Tensor:
        """Map two images (B, 3, *size) in [-1, 1] to a scalar, 4 times the error in [0, 1]."""
        return (reconstruction - image).square().mean()


@LOSSES.register_module()
class LogitLaplaceLoss(ReconstructionLoss):
    """Mean negative log-density of logit-Laplace distributions in nats per channel, for
    ``LogitLaplacePixels`` (DALL-E; the paper of ViT-VQGAN).
    """

    def forward(self, out: Tensor, target: Tensor) -> Tensor:
        """Map locations and log-scales (B, 6, *size) and targets in (0, 1) (B, 3, *size) to a
        scalar.

        Raises:
            UserError: The decoder does not output two numbers per channel.
        """
        if out.shape[1] != 2 * target.shape[1]:
            raise UserError(
                'model.training.losses: LogitLaplaceLoss needs model.pixels=dict('
                "type='LogitLaplacePixels')."
            )
        location, log_scale = out.chunk(2, 1)
        distance = (target.logit() - location).abs() * (-log_scale).exp()
        # log(2 x (1 - x)), whose mean does not depend on the network.
        volume = (2 * target * (1 - target)).log()
        return (distance + log_scale + volume).mean()
