"""Contract of the decoder slot."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from openmagvit2.errors import UserError
from openmagvit2.models.layers.arguments import written
from openmagvit2.signatures import accepted


class BaseDecoder(nn.Module, ABC):
    """``decoder(codes (B, in_channels, *grid), size, noise) -> image (B, out_channels, *size)``.

    A decoder that was written for version 1, ``decoder(codes)``, goes on working: see
    :func:`run_decoder`.

    Attributes:
        in_channels: Channels of the codes; the tokenizer sets it to ``quantizer.code_dim``.
        out_channels: Channels of the output; the tokenizer sets it to ``pixels.channels``.
        image_size: The one size of the images that it makes, or None.
        grid: The one grid of codes that it takes, or None for any map (h, w).
        upscale: Pixels of a side for each cell of a map, where ``image_size`` is None.
        takes_noise: Whether the output depends on a noise map.
        test_arguments: Arguments for the tests of the slot's contract, beside the channels.
        test_grids: Grids of codes for these tests.
    """

    in_channels: int
    out_channels: int = 3
    image_size: tuple[int, ...] | None = None
    grid: tuple[int, ...] | None = None
    upscale: int | None = None
    takes_noise: bool = False
    test_arguments: ClassVar[dict] = {}
    test_grids: ClassVar[tuple[tuple[int, ...], ...]] = ((2, 3),)

    @property
    @abstractmethod
    def last_layer(self) -> Tensor:
        """Weight of the last layer, on which an adaptive adversarial weight compares gradients."""

    @abstractmethod
    def forward(
        self, codes: Tensor, size: Sequence[int] | None = None, noise: Tensor | None = None
    ) -> Tensor:
        """Map codes to images around the range of the tokenizer's ``pixels``, not clamped.

        Args:
            codes: Float (B, in_channels, *grid).
            size: Height and width of the image, checked where they are given; only a decoder whose
                grid does not give them needs them.
            noise: Normal noise of the codes' shape, for a decoder with ``takes_noise``. By default
                it is drawn in training and is one map from a fixed seed, the same for every image,
                in evaluation. Other decoders leave it alone.

        Raises:
            UserError: See :meth:`check_size`.
        """

    def image_size_of(self, grid: Sequence[int]) -> tuple[int, ...] | None:
        """Return the height and width of the image of a grid of codes; None where a class states
        neither ``image_size`` nor ``upscale``, as those of version 1.

        Raises:
            UserError: Another grid than ``grid``, or no map.
        """
        if self.image_size is None and self.upscale is None:
            return None
        if tuple(grid) != self.grid if self.grid else len(grid) != 2:
            takes = f'{written(self.grid)} codes only' if self.grid else 'maps (height, width)'
            raise UserError(
                f'model.decoder: {type(self).__name__} takes {takes}, the codes are '
                f'{written(grid)}; choose an encoder that makes them.'
            )
        return self.image_size or tuple(side * (self.upscale or 1) for side in grid)

    def check_size(self, grid: Sequence[int], size: Sequence[int] | None) -> None:
        """Check a grid of codes, and the height and width that their image is to have.

        Raises:
            UserError: See :meth:`image_size_of`; or ``size`` is given and the image has another.
        """
        made = self.image_size_of(grid)
        if made is not None and size is not None and tuple(size) != tuple(made):
            raise UserError(
                f'{type(self).__name__} makes images of {written(made)} only from '
                f'{written(grid)} codes, not {written(size)}.'
            )

    def noise_for(self, codes: Tensor) -> Tensor:
        """Return normal noise of the shape of ``codes`` (B, D, *grid): drawn in training, in
        evaluation one map for every image, so that an image depends neither on its batch nor on
        the time.
        """
        if self.training:
            return torch.randn_like(codes)
        generator = torch.Generator().manual_seed(0)
        return torch.randn(codes.shape[1:], generator=generator).to(codes).expand_as(codes)


def run_decoder(
    decoder: nn.Module,
    codes: Tensor,
    size: Sequence[int] | None = None,
    noise: Tensor | None = None,
) -> Tensor:
    """Call a decoder with those of ``size`` and ``noise`` that are given and that it accepts.

    Version 1's decoders take the codes alone.
    """
    given = {k: v for k, v in dict(size=size, noise=noise).items() if v is not None}
    known = accepted(decoder.forward) if given else ()
    return decoder(codes, **{key: value for key, value in given.items() if key in known})
