"""R1 penalty on the discriminator's gradient (Mescheder et al., 2018)."""

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from openmagvit2.dtypes import without_autocast
from openmagvit2.errors import UserError
from openmagvit2.registry import LOSSES
from openmagvit2.signatures import Count


@LOSSES.register_module()
class R1(nn.Module):
    """Mean over real images of the squared gradient norm of the logits.

    The logits of an image are summed. There is no factor 1/2, so a weight of 10 is StyleGAN's gamma
    of 20. Computed in float32, even under autocast.

    Args:
        interval: Compute the penalty only every this many iterations, multiplied by the interval
            to keep its mean strength (StyleGAN2's lazy regularization).
    """

    def __init__(self, *, interval: Count = 1) -> None:
        super().__init__()
        self.interval = interval

    def forward(
        self, real: Tensor, fake: Tensor, *, discriminator: nn.Module, image: Tensor, iteration: int
    ) -> Tensor | None:
        """Return the penalty, a scalar, or None in an iteration without one.

        Args:
            real, fake: Unused.
            discriminator: Maps images to logits; samples must not depend on each other.
            image: Real images (B, 3, *size).
            iteration: Number of finished iterations.

        Raises:
            UserError: The discriminator has BatchNorm.
        """
        if iteration % self.interval:
            return None
        if any(isinstance(module, _BatchNorm) for module in discriminator.modules()):
            raise UserError(
                'R1 needs a gradient per image, but the discriminator has BatchNorm, which couples '
                'the images of a batch; choose another, such as BlurPatchGAN.'
            )
        image = image.detach().float().requires_grad_()
        with without_autocast(image.device):
            (gradient,) = torch.autograd.grad(discriminator(image).sum(), image, create_graph=True)
        return self.interval * gradient.square().flatten(1).sum(1).mean()
