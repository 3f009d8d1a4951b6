"""Contract of the discriminator slot."""

from abc import ABC, abstractmethod

from torch import Tensor, nn


class BaseDiscriminator(nn.Module, ABC):
    """``discriminator(image (B, 3, H, W)) -> logits (B, 1, h', w')``, one for each patch, high for
    real images.
    """

    @abstractmethod
    def forward(self, image: Tensor) -> Tensor:
        """Map images in [-1, 1] to unbounded logits."""
