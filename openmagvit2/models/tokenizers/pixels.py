"""The range of pixels inside of the networks."""

from collections.abc import Sequence

from torch import Tensor, nn

from openmagvit2.errors import UserError
from openmagvit2.registry import MODELS


@MODELS.register_module()
class Pixels(nn.Module):
    """From images in [-1, 1] to what the encoder reads, and from what the decoder writes to images.

    Args:
        range: Values of black and white inside of the networks.

    Attributes:
        channels: Channels that the decoder writes.
    """

    channels: int = 3

    def __init__(self, *, range: Sequence[float] = (-1.0, 1.0)) -> None:
        super().__init__()
        self.low, self.high = (float(value) for value in range)
        if not self.low < self.high:
            raise UserError(f'model.pixels.range must be two rising numbers, got {tuple(range)}.')

    def to_network(self, image: Tensor) -> Tensor:
        """Map images in [-1, 1] (B, 3, *size) to the same shape in ``range``."""
        if (self.low, self.high) == (-1.0, 1.0):
            return image
        return (image + 1) * ((self.high - self.low) / 2) + self.low

    def target(self, image: Tensor) -> Tensor:
        """What reconstruction losses compare the decoder's output with."""
        return self.to_network(image)

    def to_image(self, out: Tensor) -> Tensor:
        """Map the output of the decoder (B, ``channels``, *size) to images around [-1, 1]."""
        if (self.low, self.high) == (-1.0, 1.0):
            return out
        return (out - self.low) * (2 / (self.high - self.low)) - 1
