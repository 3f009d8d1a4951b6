"""Losses of generator and discriminator, by name; they map logits (B, 1, h', w') to a scalar."""

import torch.nn.functional as F
from torch import Tensor, nn

from openmagvit2.errors import check_choice
from openmagvit2.registry import LOSSES


def non_saturating_generator(fake: Tensor) -> Tensor:
    """Return mean softplus(-logit); logits are averaged over an image *before* the softplus."""
    return F.softplus(-fake.flatten(1).mean(1)).mean()


def mean_generator(fake: Tensor) -> Tensor:
    """Return the negative mean logit (VQGAN, with the hinge loss for the discriminator)."""
    return -fake.mean()


def hinge(real: Tensor, fake: Tensor) -> Tensor:
    """Return half of mean relu(1 - real) + mean relu(1 + fake), over patches."""
    return 0.5 * (F.relu(1 - real).mean() + F.relu(1 + fake).mean())


def vanilla(real: Tensor, fake: Tensor) -> Tensor:
    """Return half the sum of the two binary cross-entropies in nats, over patches."""
    return 0.5 * (F.softplus(-real).mean() + F.softplus(fake).mean())


def non_saturating(real: Tensor, fake: Tensor) -> Tensor:
    """Return the sum of the two binary cross-entropies in nats, of each image's mean logit."""
    return F.softplus(-real.flatten(1).mean(1)).mean() + F.softplus(fake.flatten(1).mean(1)).mean()


GENERATOR_LOSSES = {'non_saturating': non_saturating_generator, 'mean': mean_generator}
DISCRIMINATOR_LOSSES = {'hinge': hinge, 'vanilla': vanilla, 'non_saturating': non_saturating}


@LOSSES.register_module()
class AdversarialLoss(nn.Module):
    """Losses of the generator and of the discriminator.

    Args:
        generator: 'non_saturating' (the paper's) or 'mean'.
        discriminator: 'hinge' (the paper's), 'vanilla' or 'non_saturating'.
    """

    def __init__(self, *, generator: str = 'non_saturating', discriminator: str = 'hinge') -> None:
        super().__init__()
        check_choice('training.adversarial.generator_loss', generator, GENERATOR_LOSSES)
        check_choice('training.adversarial.discriminator_loss', discriminator, DISCRIMINATOR_LOSSES)
        self.generator, self.discriminator = generator, discriminator

    def generator_loss(self, fake: Tensor) -> Tensor:
        """Map logits of reconstructions (B, 1, h, w) to a scalar."""
        return GENERATOR_LOSSES[self.generator](fake)

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """Map logits of images and of detached reconstructions, both (B, 1, h, w), to a scalar."""
        return DISCRIMINATOR_LOSSES[self.discriminator](real, fake)
