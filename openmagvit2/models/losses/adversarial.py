"""Adversarial losses on patch logits (spec §3.3)."""

import torch.nn.functional as F
from torch import Tensor, nn

from openmagvit2.errors import UserError
from openmagvit2.registry import LOSSES


def hinge(real: Tensor, fake: Tensor) -> Tensor:
    """Half of mean relu(1 - real) + mean relu(1 + fake), patch by patch."""
    return 0.5 * (F.relu(1 - real).mean() + F.relu(1 + fake).mean())


def vanilla(real: Tensor, fake: Tensor) -> Tensor:
    """Half of the two binary cross-entropies, patch by patch."""
    return 0.5 * (F.softplus(-real).mean() + F.softplus(fake).mean())


def non_saturating(real: Tensor, fake: Tensor) -> Tensor:
    """Sum of the two binary cross-entropies of the images' mean logits."""
    return F.softplus(-real.flatten(1).mean(1)).mean() + F.softplus(fake.flatten(1).mean(1)).mean()


DISCRIMINATOR_LOSSES = {'hinge': hinge, 'vanilla': vanilla, 'non_saturating': non_saturating}


@LOSSES.register_module()
class AdversarialLoss(nn.Module):
    """Non-saturating loss of the generator and one of three losses of the discriminator.

    Args:
        discriminator: 'hinge' (the paper's), 'vanilla', or 'non_saturating'.
    """

    def __init__(self, *, discriminator: str = 'hinge') -> None:
        super().__init__()
        if discriminator not in DISCRIMINATOR_LOSSES:
            raise UserError(
                f'model.adversarial_loss.discriminator must be one of '
                f'{", ".join(DISCRIMINATOR_LOSSES)}, got {discriminator!r}.'
            )
        self.discriminator = discriminator

    def generator_loss(self, fake: Tensor) -> Tensor:
        """Logits of reconstructions (B, 1, h, w) to a scalar; logits are averaged over an image
        *before* the logarithm.
        """
        return F.softplus(-fake.flatten(1).mean(1)).mean()

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """Logits of images and of detached reconstructions, both (B, 1, h, w), to a scalar."""
        return DISCRIMINATOR_LOSSES[self.discriminator](real, fake)
