"""Contract of the decoder slot."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from openmagvit2.errors import UserError
from openmagvit2.models.layers.arguments import written
from openmagvit2.signatures import accepted


class BaseDecoder(nn.Module, ABC):
    """``decoder(codes (B, in_channels, *grid), size, noise) -> image (B, out_channels, *size)``.

    Decoders written for version 1, ``decoder(codes)``, still work: see :func:`run_decoder`.

    Attributes:
        in_channels: Number of channels of the codes; the tokenizer passes ``quantizer.code_dim``.
        out_channels: Number of channels of the output; the tokenizer passes ``pixels.channels``.
        image_size: The only image size that the decoder outputs, or None.
        grid: The only grid of codes that it accepts, or None for any map (h, w).
        upscale: Pixels per cell and axis, if ``image_size`` is None.
        takes_noise: Whether the output depends on a noise map.
    """

    in_channels: int
    out_channels: int = 3
    image_size: tuple[int, ...] | None = None
    grid: tuple[int, ...] | None = None
    upscale: int | None = None
    takes_noise: bool = False

    @property
    @abstractmethod
    def last_layer(self) -> Tensor:
        """Weight of the last layer, where an adaptive adversarial weight compares gradients."""

    @abstractmethod
    def forward(
        self, codes: Tensor, size: Sequence[int] | None = None, noise: Tensor | None = None
    ) -> Tensor:
        """Map codes to images in about the range of the tokenizer's ``pixels``, not clamped.

        Args:
            codes: Float (B, in_channels, *grid).
            size: Height and width of the image, checked if given; required only by decoders that
                cannot derive them from the grid.
            noise: Normal noise of the codes' shape, for decoders with ``takes_noise``; see
                :meth:`noise_for` for the default. Other decoders ignore it.

        Raises:
            UserError: See :meth:`check_size`.
        """

    def image_size_of(self, grid: Sequence[int]) -> tuple[int, ...] | None:
        """Return the height and width of the image for a grid of codes; None if the class sets
        neither ``image_size`` nor ``upscale``, as in version 1.

        Raises:
            UserError: The decoder does not accept this grid.
        """
        if self.image_size is None and self.upscale is None:
            return None
        if tuple(grid) != self.grid if self.grid else len(grid) != 2:
            expected = written(self.grid) if self.grid else '(height, width)'
            raise UserError(
                f'model.decoder: {type(self).__name__} expects a grid of {expected} codes, got '
                f'{written(grid)}; choose a matching encoder.'
            )
        return self.image_size or tuple(side * (self.upscale or 1) for side in grid)

    def check_size(self, grid: Sequence[int], size: Sequence[int] | None) -> None:
        """Check a grid of codes and, if given, the size of the image.

        Raises:
            UserError: See :meth:`image_size_of`; or the image of the grid has another size.
        """
        made = self.image_size_of(grid)
        if made is not None and size is not None and tuple(size) != tuple(made):
            raise UserError(
                f'{type(self).__name__} decodes {written(grid)} codes to images of '
                f'{written(made)}, not {written(size)}.'
            )

    def noise_for(self, codes: Tensor) -> Tensor:
        """Return normal noise of the shape of ``codes`` (B, D, *grid).

        It is random in training. In evaluation, it is the same map from a fixed seed for every
        image and call, so that reconstructions are reproducible.
        """
        if self.training:
            return torch.randn_like(codes)
        generator = torch.Generator().manual_seed(0)
        return torch.randn(codes.shape[1:], generator=generator).to(codes).expand_as(codes)


def run_decoder(decoder: nn.Module, codes: Tensor, size: Sequence[int] | None = None) -> Tensor:
    """Call a decoder with ``codes``, and with ``size`` if given; decoders of version 1 accept only
    codes.
    """
    if size is None or 'size' not in accepted(decoder.forward):
        return decoder(codes)
    return decoder(codes, size=size)
