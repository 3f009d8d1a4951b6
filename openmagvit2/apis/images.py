"""Images in and out of the front door."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from openmagvit2.errors import UserError

ImageLike = str | Path | Image.Image | np.ndarray | Tensor


def to_list(images: ImageLike | Sequence[ImageLike]) -> list[Tensor]:
    """Images to float tensors (3, H, W) in [-1, 1].

    Args:
        images: A path, a PIL image, a uint8 array (H, W, 3), a tensor (3, H, W) of uint8 or of floats in [-1, 1]; a batch of arrays
            or tensors with one axis in front; or a list of any of these.

    Raises:
        UserError: An image cannot be read, or has another shape or range.
    """
    if isinstance(images, (np.ndarray, Tensor)) and images.ndim == 4:
        images = list(images)
    return [_one(image) for image in (images if isinstance(images, (list, tuple)) else [images])]


def _one(image: ImageLike) -> Tensor:
    if isinstance(image, (str, Path)):
        try:
            with Image.open(image) as opened:
                image = opened.convert('RGB')
        except Exception as error:  # Pillow fails in many ways: OSError, SyntaxError, DecompressionBombError, …
            raise UserError(f'Image {image} cannot be read: {error}') from error
    if isinstance(image, Image.Image):
        image = np.array(image.convert('RGB'))
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise UserError(f'An image as an array must be uint8 (H, W, 3), got {image.dtype} {image.shape}.')
        image = torch.from_numpy(image).permute(2, 0, 1)
    if image.ndim != 3 or image.shape[0] != 3:
        raise UserError(f'An image as a tensor must be (3, H, W), got {tuple(image.shape)}.')
    if image.dtype == torch.uint8:
        return image.float() / 127.5 - 1
    if not image.is_floating_point() or image.abs().max() > 1.001:
        raise UserError(f'An image as a tensor must be uint8, or floats in [-1, 1]; got {image.dtype} up to {image.abs().max():g}.')
    return image.float()
