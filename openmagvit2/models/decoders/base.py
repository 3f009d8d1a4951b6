"""Contract of the decoder slot."""

from abc import ABC, abstractmethod

from torch import Tensor, nn


class BaseDecoder(nn.Module, ABC):
    """``decoder(codes (B, in_channels, *grid)) -> image (B, 3, H, W)``.

    Attributes:
        upscale: Pixels per latent position and axis.
        in_channels: Channels of the codes; the tokenizer sets it to ``quantizer.code_dim``.
    """

    upscale: int
    in_channels: int

    @property
    @abstractmethod
    def last_layer(self) -> nn.Parameter:
        """Weight of the last layer, on which an adaptive adversarial weight compares gradients."""

    @abstractmethod
    def forward(self, codes: Tensor) -> Tensor:
        """Codes to images around [-1, 1], not clamped."""
