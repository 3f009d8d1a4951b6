"""The pixel range inside the networks."""

from collections.abc import Sequence

from torch import Tensor, nn

from openmagvit2.errors import UserError
from openmagvit2.registry import MODELS


@MODELS.register_module()
class Pixels(nn.Module):
    """Map images in [-1, 1] to the encoder's input range, and the decoder's output to images.

    Args:
        range: Values of black and white inside the networks.

    Attributes:
        channels: Number of output channels of the decoder.

    Raises:
        UserError: ``range`` is not increasing.
    """

    channels: int = 3

    def __init__(self, *, range: Sequence[float] = (-1.0, 1.0)) -> None:
        super().__init__()
        if len(range) != 2 or not range[0] < range[1]:
            raise UserError(f'model.pixels.range must be increasing, got {tuple(range)}.')
        self.low, self.high = (float(value) for value in range)

    def to_network(self, image: Tensor) -> Tensor:
        """Map images (B, 3, *size) from [-1, 1] to ``range``."""
        if (self.low, self.high) == (-1.0, 1.0):
            return image
        return (image + 1) * ((self.high - self.low) / 2) + self.low

    def target(self, image: Tensor) -> Tensor:
        """Return the target of the reconstruction losses, (B, 3, *size), for an image."""
        return self.to_network(image)

    def to_image(self, out: Tensor) -> Tensor:
        """Map the decoder's output (B, ``channels``, *size) to images in about [-1, 1]."""
        if (self.low, self.high) == (-1.0, 1.0):
            return out
        return (out - self.low) * (2 / (self.high - self.low)) - 1


@MODELS.register_module()
class LogitLaplacePixels(Pixels):
    """Location and log-scale of a logit-Laplace distribution per channel (DALL-E; ViT-VQGAN).

    Args:
        range: Values of black and white for the encoder.
        margin: Distance of black and white from the ends of (0, 1), the distribution's support.

    Raises:
        UserError: ``margin`` is not between 0 and 0.5.
    """

    channels = 6

    def __init__(self, *, range: Sequence[float] = (0.0, 1.0), margin: float = 0.1) -> None:
        super().__init__(range=range)
        if not 0 < margin < 0.5:
            raise UserError(f'model.pixels.margin must be between 0 and 0.5, got {margin}.')
        self.margin = margin

    def target(self, image: Tensor) -> Tensor:
        """Map images from [-1, 1] to [``margin``, 1 - ``margin``]."""
        return self.margin + (1 - 2 * self.margin) * (image + 1) / 2

    def to_image(self, out: Tensor) -> Tensor:
        """Map locations and log-scales (B, 6, *size) to images given by the locations.

        Values exceed [-1, 1] by at most ``margin / (1 - 2 margin)`` of its width.
        """
        location = out.chunk(2, 1)[0]
        return 2 * (location.sigmoid() - self.margin) / (1 - 2 * self.margin) - 1
