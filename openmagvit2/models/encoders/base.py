"""Contract of the encoder slot."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property

from torch import Tensor, nn

from openmagvit2.errors import UserError
from openmagvit2.models.layers.arguments import written


class BaseEncoder(nn.Module, ABC):
    """``encoder(image (B, 3, *size)) -> z (B, out_channels, *grid)``.

    A subclass sets ``stride``, or sets it to None and implements :meth:`grid`. A subclass for
    version 1 may set ``downscale`` instead, one number for both axes.

    Attributes:
        out_channels: Number of channels of ``z``; the tokenizer passes ``quantizer.in_channels``.
        image_size: The only size that the network accepts, or None if it accepts any multiple of
            ``stride``.
    """

    out_channels: int
    image_size: tuple[int, ...] | None = None

    # Cached properties, so that an instance can override them with plain attributes.
    @cached_property
    def stride(self) -> tuple[int, ...] | None:
        """Pixels per latent position for each axis; None if ``z`` is not a map of the image, which
        is then never padded.
        """
        if type(self).downscale is BaseEncoder.downscale and 'downscale' not in vars(self):
            raise NotImplementedError(
                f'{type(self).__name__} must have the attribute `stride`: pixels per latent '
                f'position and axis, for example (16, 16), or None together with `grid(size)`.'
            )
        return (self.downscale, self.downscale)

    @cached_property
    def downscale(self) -> int:
        """Version 1's form of ``stride``: a single number, if all axes have the same."""
        strides = set(self.stride or ())
        if len(strides) != 1:
            raise NotImplementedError(
                f'{type(self).__name__} has no single `downscale`; its `stride` is {self.stride}.'
            )
        return strides.pop()

    def grid(self, size: Sequence[int]) -> tuple[int, ...]:
        """Return the latent grid of images of ``size``: (h, w) for (H, W) by default."""
        if self.stride is None:
            raise NotImplementedError(f'{type(self).__name__} has no stride and must have `grid`.')
        return tuple(side // step for side, step in zip(size, self.stride, strict=True))

    def check_size(self, size: Sequence[int]) -> None:
        """Check the size of images.

        Raises:
            UserError: ``size`` is not ``image_size``, or ``stride`` does not divide a side.
        """
        if self.image_size is not None and tuple(size) != tuple(self.image_size):
            raise UserError(
                f'The image is {written(size)}; {type(self).__name__} only accepts '
                f'{written(self.image_size)}. Resize or crop it.'
            )
        if self.stride and any(a % b for a, b in zip(size, self.stride, strict=True)):
            strides = ' and '.join(map(str, dict.fromkeys(self.stride)))
            raise UserError(
                f'The image is {written(size)}; height and width must be divisible by {strides}. '
                f'Pad or resize it.'
            )

    @abstractmethod
    def forward(self, image: Tensor) -> Tensor:
        """Map images in the range of the tokenizer's ``pixels`` ([-1, 1] by default) to latents of
        any range.

        Raises:
            UserError: See :meth:`check_size`.
        """
