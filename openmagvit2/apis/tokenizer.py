"""Front door of stage I: images to indices and back."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.config import Config
from torch import Tensor, nn

from openmagvit2.apis.images import ImageLike, to_list
from openmagvit2.apis.init_model import init_model
from openmagvit2.errors import UserError
from openmagvit2.visualization import to_uint8


class Tokenizer:
    """A trained tokenizer. Images of any size are padded to its stride, and reconstructions cropped back.

    Args:
        model: A ``VisualTokenizer``; see :meth:`from_config`.
    """

    def __init__(self, model: nn.Module) -> None:
        if not hasattr(model, 'encoder'):
            raise UserError(f'Tokenizer needs the config of a tokenizer, this one makes a {type(model).__name__}.')
        self.model = model.eval()
        self.stride = model.encoder.downscale

    @classmethod
    def from_config(
        cls,
        config: str | Path | Config,
        checkpoint: str | Path | None = None,
        device: str | torch.device | None = None,
        dtype: torch.dtype | str | None = None,
        cfg_options: dict[str, Any] | None = None,
    ) -> 'Tokenizer':
        """See :func:`init_model`."""
        return cls(init_model(config, checkpoint, device, cfg_options, dtype))

    @torch.no_grad()
    def encode(self, images: ImageLike | Sequence[ImageLike]) -> Tensor:
        """Images (see :func:`openmagvit2.apis.images.to_list`) to indices int64 (B, h, w).

        Raises:
            UserError: The images have different sizes; encode them one by one.
        """
        batch = [self._pad(image) for image in to_list(images)]
        if len({image.shape for image in batch}) > 1:
            raise UserError('encode: the images have different sizes; encode them one by one.')
        weight = next(self.model.encoder.parameters())
        return self.model.encode(torch.stack(batch).to(weight.device, weight.dtype)).indices

    @torch.no_grad()
    def decode(self, indices: Tensor) -> np.ndarray:
        """int64 (B, h, w) to uint8 (B, H, W, 3)."""
        return to_uint8(self.model.decode_indices(indices.to(next(self.model.parameters()).device)))

    def reconstruct(self, images: ImageLike | Sequence[ImageLike]) -> list[np.ndarray]:
        """Images of any sizes through the codes and back: a uint8 (H, W, 3) for each."""
        out = []
        for image in to_list(images):
            height, width = image.shape[1:]
            out.append(self.decode(self.encode([image]))[0, :height, :width])
        return out

    def _pad(self, image: Tensor) -> Tensor:
        height, width = image.shape[1:]
        # The border repeats: a black one would cost code words.
        return F.pad(image[None], (0, -width % self.stride, 0, -height % self.stride), mode='replicate')[0]
