"""Contract of the encoder slot."""

from abc import ABC, abstractmethod

from torch import Tensor, nn


class BaseEncoder(nn.Module, ABC):
    """``encoder(image (B, 3, H, W)) -> z (B, out_channels, *grid)``.

    Attributes:
        downscale: Pixels per latent position and axis; any H and W divisible by it are accepted.
        out_channels: Channels of ``z``; the tokenizer sets it to what the quantizer wants
            (``quantizer.in_channels``).
    """

    downscale: int
    out_channels: int

    @abstractmethod
    def forward(self, image: Tensor) -> Tensor:
        """Images in [-1, 1] to latents of any range."""
