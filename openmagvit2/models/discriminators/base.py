"""Contract of the discriminator slot."""

from abc import ABC, abstractmethod

from torch import Tensor, nn

# Its key in a config, for errors.
KEY = 'model.training.adversarial.discriminator'


class BaseDiscriminator(nn.Module, ABC):
    """``discriminator(image (B, 3, H, W)) -> logits (B, 1, h', w')``, one per patch, high for real
    images.

    Attributes:
        patches: Whether there is one logit per patch, or a single one for the whole image.
    """

    patches: bool = True

    @abstractmethod
    def forward(self, image: Tensor) -> Tensor:
        """Map images (B, 3, H, W) in [-1, 1] to unbounded logits (B, 1, h', w')."""
