"""VQGAN's adaptive weight of the adversarial loss (Esser et al., 2021, eq. 7)."""

import torch
from torch import Tensor, nn

from openmagvit2.errors import UserError
from openmagvit2.models.layers.sync import all_reduce_mean
from openmagvit2.registry import LOSSES


@LOSSES.register_module()
class AdaptiveWeight:
    """Balance the adversarial and reconstruction gradients at the decoder's last layer with the
    weight ``weight * clamp(|grad rec| / (|grad adv| + eps), low, high)``.

    Args:
        weight: Factor of the ratio.
        low, high: Bounds of the ratio.
        eps: Added to the norm of the adversarial gradient.
    """

    def __init__(
        self, *, weight: float = 0.8, low: float = 0.0, high: float = 1e4, eps: float = 1e-4
    ) -> None:
        self.weight, self.low, self.high, self.eps = weight, low, high, eps

    def __call__(
        self, reconstruction: Tensor, adversarial: Tensor, last_layer: Tensor | None
    ) -> Tensor:
        """Return the weight of one iteration, a detached scalar, the same on all processes.

        Gradients are averaged over processes before their norms are taken, so they are those of the
        global batch.

        Args:
            reconstruction: Sum of the weighted reconstruction losses, a scalar.
            adversarial: The unweighted adversarial loss, a scalar.
            last_layer: Parameter for which both gradients are computed.
        """
        if not isinstance(last_layer, nn.Parameter) or not last_layer.requires_grad:
            raise UserError(
                'training.adversarial.weight: AdaptiveWeight compares gradients at the '
                "decoder's last layer, which is frozen; set a number."
            )
        norms = []
        for loss in (reconstruction, adversarial):
            (gradient,) = torch.autograd.grad(loss, last_layer, retain_graph=True)
            norms.append(all_reduce_mean(gradient.float()).norm())
        return self.weight * (norms[0] / (norms[1] + self.eps)).clamp(self.low, self.high)
