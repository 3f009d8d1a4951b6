"""Image transforms from sample dict to sample dict; ``image`` is a picture or uint8 (H, W, 3).

See docs/reference/specification.md, Data.
"""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from openmagvit2.datasets.pictures import Picture, PictureTransform
from openmagvit2.errors import UserError, check_choice
from openmagvit2.registry import TRANSFORMS
from openmagvit2.sizes import memory

FILTERS = dict(
    bilinear=Image.Resampling.BILINEAR,
    bicubic=Image.Resampling.BICUBIC,
    lanczos=Image.Resampling.LANCZOS,
    nearest=Image.Resampling.NEAREST,
)
CORNERS = ('top_left', 'top_right', 'bottom_left', 'bottom_right')


@TRANSFORMS.register_module()
class Resize(PictureTransform):
    """Resize with Pillow's antialiased filters; OpenCV's bilinear filter does not antialias, which
    changes rFID.

    Args:
        size: Pixels of the shorter side, with the longer one in proportion; or [height, width].
        interpolation: A name in ``FILTERS``.

    Raises:
        UserError: ``interpolation`` is unknown.
    """

    def __init__(self, *, size: int | Sequence[int], interpolation: str = 'bilinear') -> None:
        check_choice('Resize: interpolation', interpolation, FILTERS)
        self.height, self.width = height_and_width(size, 'Resize')
        self.keep_proportions = isinstance(size, int)
        self.interpolation = interpolation

    def change(self, picture: Picture, sample: dict) -> Picture:
        """Resize; the longer side is rounded down, as in torchvision."""
        height, width = picture.shape
        to = (self.height, self.width)
        if self.keep_proportions:
            short = min(height, width)
            to = (self.height * height // short, self.height * width // short)
        return picture.resize(*to, FILTERS[self.interpolation])


class _Crop(PictureTransform):
    """Base class of the crops; an image that is smaller is an error.

    Args:
        size: Side of a square in pixels, or [height, width].
    """

    def __init__(self, *, size: int | Sequence[int]) -> None:
        self.size, (self.height, self.width) = size, height_and_width(size, type(self).__name__)

    def margins(self, picture: Picture) -> tuple[int, int]:
        """Return the number of rows and of columns to cut off.

        Raises:
            UserError: The image is smaller than the crop.
        """
        height, width = picture.shape
        if height < self.height or width < self.width:
            raise UserError(
                f'{type(self).__name__}(size={self.size}) got an image of {height}x{width}; put '
                f'Resize(size={self.size}) before it.'
            )
        return height - self.height, width - self.width

    def cut(self, picture: Picture, top: int, left: int) -> Picture:
        """Crop at a position."""
        return picture.crop(top, left, self.height, self.width)


@TRANSFORMS.register_module()
class RandomCrop(_Crop):
    """Crop to ``size`` at a uniformly random position."""

    def change(self, picture: Picture, sample: dict) -> Picture:
        """Raise UserError if an image is smaller than the crop."""
        places = (int(sample['rng'].integers(margin + 1)) for margin in self.margins(picture))
        return self.cut(picture, *places)


@TRANSFORMS.register_module()
class CenterCrop(_Crop):
    """Crop to ``size`` at the center."""

    def change(self, picture: Picture, sample: dict) -> Picture:
        """Raise UserError if an image is smaller than the crop."""
        return self.cut(picture, *(round(margin / 2) for margin in self.margins(picture)))


@TRANSFORMS.register_module()
class CornerCrop(_Crop):
    """Crop to ``size`` at ``corner``, one of ``CORNERS``.

    Raises:
        UserError: ``corner`` is unknown.
    """

    def __init__(self, *, size: int | Sequence[int], corner: str) -> None:
        super().__init__(size=size)
        check_choice('CornerCrop: corner', corner, CORNERS)
        self.bottom, self.right = corner.startswith('bottom'), corner.endswith('right')

    def change(self, picture: Picture, sample: dict) -> Picture:
        """Raise UserError if an image is smaller than the crop."""
        top, left = self.margins(picture)
        return self.cut(picture, top * self.bottom, left * self.right)


@TRANSFORMS.register_module()
class RandomTenCrop(_Crop):
    """Crop to ``size`` at a corner or at the center, mirrored or not: one of ten, drawn uniformly.

    These are the views of a token cache of ten crops (``tools/tokenize_dataset.py --crops ten``).
    """

    def change(self, picture: Picture, sample: dict) -> Picture:
        """Raise UserError if an image is smaller than the crop."""
        view = int(sample['rng'].integers(10))
        top, left = self.margins(picture)
        places = [(0, 0), (0, left), (top, 0), (top, left), (round(top / 2), round(left / 2))]
        picture = self.cut(picture, *places[view % 5])
        return picture if view < 5 else picture.mirror()


@TRANSFORMS.register_module()
class RandomFlip(PictureTransform):
    """Flip horizontally; the paper's recipes do not use it."""

    def __init__(self, *, prob: float = 0.5) -> None:
        self.prob = prob

    def change(self, picture: Picture, sample: dict) -> Picture:
        """Flip with probability ``prob``."""
        return picture.mirror() if sample['rng'].random() < self.prob else picture


@TRANSFORMS.register_module()
class Pad:
    """Pad with zeros (black) to ``size``, with the image at the center.

    Args:
        size: Side of a square in pixels, or [height, width].
    """

    def __init__(self, *, size: int | Sequence[int]) -> None:
        self.size, (self.height, self.width) = size, height_and_width(size, 'Pad')

    def __call__(self, sample: dict) -> dict:
        """Raise UserError if an image is larger than ``size``."""
        height, width = sample['image'].shape[:2]
        if height > self.height or width > self.width:
            raise UserError(
                f'Pad(size={self.size}) got an image of {height}x{width}, which is larger; put a '
                f'Resize or a crop before it, or in its place.'
            )
        top, left = (self.height - height) // 2, (self.width - width) // 2
        borders = (top, self.height - height - top), (left, self.width - width - left), (0, 0)
        sample['image'] = np.pad(sample['image'], borders)
        return sample


def height_and_width(size: int | Sequence[int], name: str) -> tuple[int, int]:
    """Return height and width from the side of a square or [height, width]."""
    sides = tuple(size) if isinstance(size, (list, tuple)) else (size, size)
    if len(sides) != 2 or not all(type(side) is int and side > 0 for side in sides):
        raise UserError(
            f'{name}: size must be a number of pixels, or [height, width], got {size!r}.'
        )
    most = memory()
    # Pillow uses 4 bytes per pixel.
    if most is not None and 4 * sides[0] * sides[1] > most:
        raise UserError(
            f'{name}: size={size!r} gives images of {4 * sides[0] * sides[1] / 1e9:.0f} GB; this '
            f'machine has {most / 1e9:.0f} GB.'
        )
    return sides
