"""Image transforms (spec §6.1): each maps a sample dict to a sample dict; ``image`` is uint8 (H, W, 3)."""

import numpy as np
from PIL import Image

from openmagvit2.errors import UserError
from openmagvit2.registry import TRANSFORMS

FILTERS = dict(
    bilinear=Image.Resampling.BILINEAR,
    bicubic=Image.Resampling.BICUBIC,
    lanczos=Image.Resampling.LANCZOS,
    nearest=Image.Resampling.NEAREST,
)


@TRANSFORMS.register_module()
class Resize:
    """Short side to ``size`` pixels with Pillow's antialiased filters; OpenCV's bilinear has no antialias and moves rFID."""

    def __init__(self, *, size: int, interpolation: str = 'bilinear') -> None:
        if interpolation not in FILTERS:
            raise UserError(f'Resize: interpolation must be one of {", ".join(FILTERS)}, got {interpolation!r}.')
        self.size = size
        self.interpolation = interpolation

    def __call__(self, sample: dict) -> dict:
        """The long side is truncated to whole pixels, as torchvision does."""
        height, width = sample['image'].shape[:2]
        short = min(height, width)
        if short != self.size:
            to = (self.size * width // short, self.size * height // short)
            image = Image.fromarray(sample['image']).resize(to, FILTERS[self.interpolation])
            sample['image'] = np.array(image)
        return sample


def _crop(sample: dict, size: int, top: int, left: int) -> dict:
    sample['image'] = sample['image'][top : top + size, left : left + size]
    return sample


def _margins(sample: dict, size: int, name: str) -> tuple[int, int]:
    height, width = sample['image'].shape[:2]
    if height < size or width < size:
        raise UserError(f'{name}(size={size}) got an image of {height}x{width}; put Resize(size={size}) before it.')
    return height - size, width - size


@TRANSFORMS.register_module()
class RandomCrop:
    """A square of ``size`` pixels at a uniform place."""

    def __init__(self, *, size: int) -> None:
        self.size = size

    def __call__(self, sample: dict) -> dict:
        """Raises UserError for an image smaller than the crop."""
        margins = _margins(sample, self.size, 'RandomCrop')
        return _crop(sample, self.size, *(int(sample['rng'].integers(margin + 1)) for margin in margins))


@TRANSFORMS.register_module()
class CenterCrop:
    """A square of ``size`` pixels in the middle."""

    def __init__(self, *, size: int) -> None:
        self.size = size

    def __call__(self, sample: dict) -> dict:
        """Raises UserError for an image smaller than the crop."""
        margins = _margins(sample, self.size, 'CenterCrop')
        return _crop(sample, self.size, *(round(margin / 2) for margin in margins))


@TRANSFORMS.register_module()
class CornerCrop:
    """A square of ``size`` pixels at ``corner``: 'top_left', 'top_right', 'bottom_left', or 'bottom_right'."""

    def __init__(self, *, size: int, corner: str) -> None:
        self.size, self.bottom, self.right = size, corner.startswith('bottom'), corner.endswith('right')

    def __call__(self, sample: dict) -> dict:
        """Raises UserError for an image smaller than the crop."""
        top, left = _margins(sample, self.size, 'CornerCrop')
        return _crop(sample, self.size, top * self.bottom, left * self.right)


@TRANSFORMS.register_module()
class RandomFlip:
    """Left-right flip; the paper's recipes use none."""

    def __init__(self, *, prob: float = 0.5) -> None:
        self.prob = prob

    def __call__(self, sample: dict) -> dict:
        """Flips with probability ``prob``."""
        if sample['rng'].random() < self.prob:
            sample['image'] = sample['image'][:, ::-1]
        return sample


@TRANSFORMS.register_module()
class Pad:
    """Zero border (black) up to a square of ``size`` pixels, the image in the middle."""

    def __init__(self, *, size: int) -> None:
        self.size = size

    def __call__(self, sample: dict) -> dict:
        """Raises UserError for an image larger than ``size``."""
        height, width = sample['image'].shape[:2]
        if max(height, width) > self.size:
            raise UserError(f'Pad(size={self.size}) got an image of {height}x{width}.')
        top, left = (self.size - height) // 2, (self.size - width) // 2
        borders = (top, self.size - height - top), (left, self.size - width - left), (0, 0)
        sample['image'] = np.pad(sample['image'], borders)
        return sample
