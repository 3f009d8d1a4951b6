"""Contract of the encoder slot."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import ClassVar

from torch import Tensor, nn

from openmagvit2.errors import UserError
from openmagvit2.models.layers.arguments import written


class BaseEncoder(nn.Module, ABC):
    """``encoder(image (B, 3, *size)) -> z (B, out_channels, *grid)``.

    A class states ``stride``, or None for it together with ``grid``. One that was written for
    version 1 states ``downscale``, one number for both axes, and goes on working.

    Attributes:
        out_channels: Channels of ``z``; the tokenizer sets it to what the quantizer wants
            (``quantizer.in_channels``).
        image_size: The one size that the network takes, or None where any multiple of ``stride``
            will do.
        test_arguments: Arguments for the tests of the slot's contract, beside ``out_channels``.
        test_sizes: Sizes of images for these tests; empty for a few small multiples of ``stride``.
    """

    out_channels: int
    image_size: tuple[int, ...] | None = None
    test_arguments: ClassVar[dict] = {}
    test_sizes: ClassVar[tuple[tuple[int, ...], ...]] = ()

    # Cached properties, because an instance may set them as plain attributes.
    @cached_property
    def stride(self) -> tuple[int, ...] | None:
        """Pixels per latent position, for each axis; None where ``z`` is not a map of the image,
        which is then never padded.
        """
        if type(self).downscale is BaseEncoder.downscale and 'downscale' not in vars(self):
            raise NotImplementedError(
                f'{type(self).__name__} must have the attribute `stride`: pixels per latent '
                f'position and axis, for example (16, 16), or None together with `grid(size)`.'
            )
        return (self.downscale, self.downscale)

    @cached_property
    def downscale(self) -> int:
        """Version 1's name of ``stride``, where that is the same number on all axes."""
        strides = set(self.stride or ())
        if len(strides) != 1:
            raise NotImplementedError(
                f'{type(self).__name__} has no single `downscale`; its `stride` is {self.stride}.'
            )
        return strides.pop()

    def grid(self, size: Sequence[int]) -> tuple[int, ...]:
        """Return the shape of the latent positions of images of ``size``: (H, W) to (h, w) by
        default.
        """
        if self.stride is None:
            raise NotImplementedError(f'{type(self).__name__} has no stride and must have `grid`.')
        return tuple(side // step for side, step in zip(size, self.stride, strict=True))

    def check_size(self, size: Sequence[int]) -> None:
        """Check the height and width of images.

        Raises:
            UserError: Another size than ``image_size``, or a side that ``stride`` does not divide.
        """
        if self.image_size is not None and tuple(size) != tuple(self.image_size):
            raise UserError(
                f'The image is {written(size)}; {type(self).__name__} takes '
                f'{written(self.image_size)} only. Resize or crop it.'
            )
        if self.stride and any(a % b for a, b in zip(size, self.stride, strict=True)):
            strides = ' and '.join(map(str, dict.fromkeys(self.stride)))
            raise UserError(
                f'The image is {written(size)}; height and width must be divisible by {strides}. '
                f'Pad or resize it.'
            )

    @abstractmethod
    def forward(self, image: Tensor) -> Tensor:
        """Map images in the range of the tokenizer's ``pixels`` ([-1, 1] unless stated otherwise)
        to latents of any range.

        Raises:
            UserError: See :meth:`check_size`.
        """
