"""The interface of tokenizers: images to indices and back."""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.logging import print_log
from torch import Tensor

from openmagvit2.apis.hub import Pretrained
from openmagvit2.apis.images import ImageLike, one_by_one, to_indices, to_list
from openmagvit2.checkpoint.stages import is_generator
from openmagvit2.errors import UserError, check_choice
from openmagvit2.io import Color, UnreadableImage
from openmagvit2.visualization import to_uint8


class Tokenizer(Pretrained):
    """A trained tokenizer.

    Images of any size are padded to its stride, and reconstructions are cropped to their size.

    Args:
        model: A ``VisualTokenizer``; see :meth:`from_config`.
        config: Its merged config, for :meth:`save_pretrained`.

    Raises:
        UserError: The model is not a tokenizer.
    """

    def __init__(self, model: Any, *, config: Config | None = None) -> None:
        if is_generator(model):
            raise UserError(
                f'Tokenizer needs the config of a tokenizer; this one builds '
                f'{type(model).__name__}.'
            )
        super().__init__(model, config=config)
        # None if the encoder never pads images.
        self.stride: tuple[int, ...] | None = model.encoder.stride

    @torch.no_grad()
    def encode(
        self,
        images: ImageLike | Sequence[ImageLike],
        background: Color = 'white',
        value_range: tuple[float, float] | None = None,
    ) -> Tensor:
        """Map images to indices int64 (B, *token_shape), for most tokenizers (B, h, w).

        Args:
            images: One image or a list of images of one size: a path, the bytes of a file, an open
                file, a PIL image, an array (H, W, 3) or a tensor (3, H, W), uint8 or floats; or a
                batch of arrays or tensors.
            background: Color behind transparent pixels of files and PIL images.
            value_range: Values of black and white in arrays and tensors of floats, (-1, 1) by
                default.

        Raises:
            UserError: There are no images, they differ in size, or the encoder outputs NaN or
                infinite numbers.
        """
        batch = [self._pad(image) for image in to_list(images, background, value_range)]
        if not batch:
            raise UserError('encode: there are no images.')
        if len({image.shape for image in batch}) > 1:
            raise UserError('encode: the images have different sizes; encode them one by one.')
        weight = next(self.model.encoder.parameters())
        batch = [image.to(weight.device, weight.dtype) for image in batch]
        out = self.model.encode(torch.stack(batch))
        out.check_finite('these images')
        return out.indices

    @torch.no_grad()
    def decode(self, indices: Tensor | np.ndarray) -> np.ndarray:
        """Map indices to images uint8 (B, H, W, 3).

        Args:
            indices: Tensor or array of integers of any type, (B, *token_shape): (B, h, w), or
                (B, h, w, codebooks) for several codebooks, or (B, N) for latent tokens. The indices
                of a single image may leave out B.

        Raises:
            UserError: The indices have another type or shape, or lie outside the codebook.
        """
        indices = to_indices(indices, len(self.model.index_axes()))
        device = next(self.model.parameters()).device
        return to_uint8(self.model.decode_indices(indices.to(device)))

    def reconstruct(
        self,
        images: ImageLike | Sequence[ImageLike],
        background: Color = 'white',
        value_range: tuple[float, float] | None = None,
        on_error: str = 'raise',
    ) -> list[np.ndarray | None]:
        """Encode and decode images; return a list with a uint8 (H, W, 3) for each.

        All images are read before the first goes through the model.

        Args:
            images: One image or a list of images of any sizes, as in :meth:`encode`.
            background, value_range: See :meth:`encode`.
            on_error: 'raise' raises an error if a file cannot be read; 'skip' logs it and returns
                None for this image.

        Raises:
            UserError: An image cannot be read or has another type, shape or range.
        """
        check_choice('reconstruct: on_error', on_error, ('raise', 'skip'))
        read: list[Tensor | None] = []
        for image in one_by_one(images):
            try:
                read += to_list([image], background, value_range)
            except UnreadableImage as error:
                if on_error == 'raise':
                    raise
                print_log(str(error), 'current', logging.WARNING)
                read.append(None)
        return [None if image is None else self._reconstruct(image) for image in read]

    def _reconstruct(self, image: Tensor) -> np.ndarray:
        height, width = image.shape[1:]
        return self.decode(self.encode(image, value_range=(-1, 1)))[0, :height, :width]

    def _pad(self, image: Tensor) -> Tensor:
        # Repeat the border, because encoding a black one would cost code words.
        return self.model.pad(image[None], repeat=True)[0][0]
