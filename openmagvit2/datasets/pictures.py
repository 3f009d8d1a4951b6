"""Images in a pipeline of transforms, which are Pillow images until they become tensors."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor


class Picture:
    """An RGB image; ``np.asarray`` converts it to uint8 (H, W, 3).

    Resizing is delayed until the next step. If that is a crop, it is applied between Pillow's two
    passes (first along rows, then along columns, rounded in between): the pixels are the same as
    with a crop after both passes, and pixels that are cut off are not computed.

    Args:
        image: A Pillow image, or an array uint8 (H, W, 3).
        shape: Height and width to resize to; those of the image by default.
        resample: Pillow's filter for resizing.
    """

    def __init__(
        self,
        image: Image.Image | np.ndarray,
        shape: tuple[int, int] | None = None,
        resample: Image.Resampling = Image.Resampling.BILINEAR,
    ) -> None:
        self.image = Image.fromarray(image) if isinstance(image, np.ndarray) else image
        self.shape = shape or (self.image.height, self.image.width)
        self.resample = resample

    def resize(self, height: int, width: int, resample: Image.Resampling) -> 'Picture':
        """Resize with one of Pillow's filters, which antialias."""
        return Picture(self.done(), (height, width), resample)

    def crop(self, top: int, left: int, height: int, width: int) -> 'Picture':
        """Crop a rectangle inside the image."""
        image = self._resized(self.shape[1], self.image.height)
        image = _cropped(image, 0, left, image.height, width)
        image = Picture(image, (self.shape[0], width), self.resample).done()
        return Picture(_cropped(image, top, 0, height, width))

    def mirror(self) -> 'Picture':
        """Flip horizontally."""
        return Picture(self.done().transpose(Image.Transpose.FLIP_LEFT_RIGHT))

    def done(self) -> Image.Image:
        """Return the Pillow image, resized if that was delayed."""
        return self._resized(self.shape[1], self.shape[0])

    def to_tensor(self) -> Tensor:
        """Return uint8 (3, H, W)."""
        height, width = self.shape
        # Pillow writes the red, green and blue values of each row one after the other, so that
        # the axes are exchanged by copying whole rows.
        rows = np.frombuffer(self.done().tobytes('raw', 'RGB;L'), np.uint8)
        return torch.from_numpy(np.array(rows.reshape(height, 3, width).swapaxes(0, 1), order='C'))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.done(), dtype)

    def _resized(self, width: int, height: int) -> Image.Image:
        if self.image.size == (width, height):
            return self.image
        return self.image.resize((width, height), self.resample)


class PictureTransform:
    """Base class of transforms of pictures; for an array, they return an array."""

    def change(self, picture: Picture, sample: dict) -> Picture:
        """Return the transformed picture; ``sample`` has the random generator."""
        raise NotImplementedError

    def __call__(self, sample: dict) -> dict:
        """Transform ``image``, a picture or uint8 (H, W, 3)."""
        image = sample['image']
        if isinstance(image, Picture):
            sample['image'] = self.change(image, sample)
        else:
            sample['image'] = np.asarray(self.change(Picture(image), sample))
        return sample


def transformed(sample: dict, pipeline: Sequence[Any]) -> dict:
    """Apply transforms to a sample.

    Args:
        sample: ``image`` is uint8 (H, W, 3) or a Pillow image.
        pipeline: Transforms; each one that is not a :class:`PictureTransform` receives an array.

    Returns:
        The sample with ``image`` as uint8 (3, H, W).
    """
    for step in pipeline:
        image, pictures = sample['image'], isinstance(step, PictureTransform)
        if pictures and not isinstance(image, Picture):
            sample['image'] = Picture(image)
        elif not pictures and not isinstance(image, np.ndarray):
            sample['image'] = np.array(image)
        sample = step(sample)
    image = sample['image']
    if isinstance(image, np.ndarray):
        tensor = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1).contiguous()
    else:
        tensor = (image if isinstance(image, Picture) else Picture(image)).to_tensor()
    return sample | dict(image=tensor)


def _cropped(image: Image.Image, top: int, left: int, height: int, width: int) -> Image.Image:
    box = (left, top, left + width, top + height)
    return image if box == (0, 0, *image.size) else image.crop(box)
