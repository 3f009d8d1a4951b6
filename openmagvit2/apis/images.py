"""Convert images and indices of users to tensors."""

import functools
import math
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from openmagvit2.errors import UserError
from openmagvit2.io import Color, Source, read_image

ImageLike = str | Path | bytes | BinaryIO | Image.Image | np.ndarray | Tensor
# How far rounding may move a float out of its range, as a fraction of half the range.
SLACK = 1e-3


def to_list(
    images: ImageLike | Sequence[ImageLike],
    background: Color = 'white',
    value_range: tuple[float, float] | None = None,
) -> list[Tensor]:
    """Map images to float tensors (3, H, W) in [-1, 1].

    Args:
        images: A path, the bytes of a file, an open file or a PIL image (read by
            :func:`openmagvit2.io.read_image`); an array (H, W), (H, W, 1) or (H, W, 3) or a tensor
            (H, W), (1, H, W) or (3, H, W), uint8 or floats; a batch of arrays or tensors (4 axes);
            or a list of any of these.
        background: Color behind transparent pixels of files and PIL images.
        value_range: Values of black and white in floats, (-1, 1) by default. If it is given, there
            is no warning about images that may have another range.

    Raises:
        UserError: An image cannot be read, or has another type, shape or range.
    """
    low, high = value_range or (-1.0, 1.0)
    if not low < high:
        raise UserError(f'value_range must be two increasing floats, got {value_range}.')
    tensors = [_to_tensor(image, background) for image in one_by_one(images)]
    return [_to_range(image, low, high, named=value_range is not None) for image in tensors]


def one_by_one(images: ImageLike | Sequence[ImageLike]) -> Sequence[ImageLike]:
    """Return the images of a batch or a list, or a single image in a list."""
    if isinstance(images, (np.ndarray, Tensor)) and images.ndim == 4:
        return list(images)
    return images if isinstance(images, (list, tuple)) else [cast(ImageLike, images)]


def to_indices(indices: Tensor | np.ndarray, axes: int) -> Tensor:
    """Convert indices to a tensor, with a first axis of length 1 if that is missing.

    Args:
        indices: Integers of any type, (B, *token_shape) or *token_shape.
        axes: Number of axes with B.

    Raises:
        UserError: The indices are not a tensor or an array of integers, or are empty. The model
            checks shapes and values.
    """
    if isinstance(indices, np.ndarray) and indices.dtype.kind in 'iu':
        indices = torch.from_numpy(indices.astype(np.int64))
    if not isinstance(indices, Tensor):
        kind = getattr(indices, 'dtype', None) or type(indices).__name__
        raise UserError(f'Indices must be integers in a tensor or an array, got {kind}.')
    if not indices.numel():
        raise UserError(f'Indices must not be empty, got shape {tuple(indices.shape)}.')
    return indices[None] if indices.ndim == axes - 1 else indices


def _to_tensor(image: ImageLike, background: Color) -> Tensor:
    """Return an image as (3, H, W), uint8 or floats, with its own values."""
    is_file = isinstance(image, (str, os.PathLike, bytes, Image.Image)) or hasattr(image, 'read')
    if is_file:
        image = read_image(cast(Source, image), background)
    if isinstance(image, np.ndarray):
        image = _array_to_tensor(image)
    elif not isinstance(image, Tensor):
        name = type(image).__name__
        raise UserError(f'An image must be a path, a PIL image, an array or a tensor, got {name}.')
    if image.ndim == 2:
        image = image[None]
    if image.ndim != 3 or image.shape[0] not in (1, 3):
        raise UserError(
            f'An image as a tensor must be (3, H, W), or gray as (1, H, W) or (H, W), got '
            f'{tuple(image.shape)}.'
        )
    if image.dtype != torch.uint8 and not image.is_floating_point():
        raise UserError(f'An image as a tensor must be uint8 or floats, got {image.dtype}.')
    if not image.numel():
        raise UserError(f'An image must not be empty, got shape {tuple(image.shape)}.')
    return image.expand(3, -1, -1)


def _array_to_tensor(array: np.ndarray) -> Tensor:
    gray = array.ndim == 2
    color = array.ndim == 3 and array.shape[2] in (1, 3)
    if not (gray or color) or (array.dtype != np.uint8 and array.dtype.kind != 'f'):
        raise UserError(
            f'An image as an array must be uint8 or floats, (H, W, 3), or gray as (H, W, 1) or '
            f'(H, W), got {array.dtype} {array.shape}.'
        )
    if color:
        array = array.transpose(2, 0, 1)
    # Copied, because arrays may be read-only, of any byte order, or have negative strides.
    kind = np.uint8 if array.dtype == np.uint8 else np.float32
    return torch.from_numpy(np.array(array, dtype=kind, order='C'))


def _to_range(image: Tensor, low: float, high: float, named: bool) -> Tensor:
    if image.dtype == torch.uint8:
        return image.float() / 127.5 - 1
    image = image.float()
    # Both are NaN if any value is.
    least, most = torch.stack([image.min(), image.max()]).tolist()
    if not (math.isfinite(least) and math.isfinite(most)):
        raise UserError('An image of floats has values that are infinite or NaN.')
    slack = SLACK * (high - low) / 2
    if least < low - slack or most > high + slack:
        raise UserError(
            f'An image of floats must lie in [{low:g}, {high:g}], got values from {least:g} to '
            f'{most:g}; scale it, or pass its range as value_range.'
        )
    if not named and 0 <= least < most <= 1:
        _warn_once()
    return (image - (low + high) / 2) / ((high - low) / 2)


@functools.cache
def _warn_once() -> None:
    warnings.warn(
        'An image of floats has values from 0 to 1, but is read as one from -1 (black) to 1 '
        '(white); pass value_range=(0, 1) if black is 0, or value_range=(-1, 1) if that is right.',
        stacklevel=2,
    )
