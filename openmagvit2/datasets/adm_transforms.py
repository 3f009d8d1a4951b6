"""ADM's crops (guided-diffusion): halve the image while it is at least twice too large, then resize
bicubically.

See docs/reference/specification.md, LlamaGen.
"""

import numpy as np
from PIL import Image

from openmagvit2.datasets.transforms import height_and_width
from openmagvit2.errors import UserError
from openmagvit2.registry import TRANSFORMS


def adm_resized(image: np.ndarray, short: int) -> np.ndarray:
    """Resize uint8 (H, W, 3) so that the shorter side has ``short`` pixels."""
    picture = Image.fromarray(image)
    while min(picture.size) >= 2 * short:
        half = picture.width // 2, picture.height // 2
        picture = picture.resize(half, Image.Resampling.BOX)
    scale = short / min(picture.size)
    size = round(picture.width * scale), round(picture.height * scale)
    return np.array(picture.resize(size, Image.Resampling.BICUBIC))


@TRANSFORMS.register_module()
class AdmCenterCrop:
    """Resize the shorter side to ``size`` pixels as ADM does, and crop the center.

    Args:
        size: Side of the square crop in pixels.
    """

    def __init__(self, *, size: int) -> None:
        self.size, _ = height_and_width(size, 'AdmCenterCrop')

    def __call__(self, sample: dict) -> dict:
        image = adm_resized(sample['image'], self.size)
        top, left = ((side - self.size) // 2 for side in image.shape[:2])
        sample['image'] = image[top : top + self.size, left : left + self.size]
        return sample


@TRANSFORMS.register_module()
class AdmRandomCrop:
    """Resize the shorter side to a random number of pixels as ADM does, and crop at random.

    Args:
        size: Side of the square crop in pixels.
        least, most: The smallest and the largest fraction of the shorter side that a crop covers:
            with 0.8 and 1.0, the shorter side has ``size`` to ``ceil(size / 0.8)`` pixels.

    Raises:
        UserError: 0 < least <= most <= 1 does not hold.
    """

    def __init__(self, *, size: int, least: float = 0.8, most: float = 1.0) -> None:
        if not 0 < least <= most <= 1:
            raise UserError(
                f'AdmRandomCrop: 0 < least <= most <= 1 must hold, got {least} and {most}.'
            )
        self.size, _ = height_and_width(size, 'AdmRandomCrop')
        self.least, self.most = least, most

    def __call__(self, sample: dict) -> dict:
        rng = sample['rng']
        shortest, longest = (int(np.ceil(self.size / part)) for part in (self.most, self.least))
        image = adm_resized(sample['image'], int(rng.integers(shortest, longest + 1)))
        top, left = (int(rng.integers(side - self.size + 1)) for side in image.shape[:2])
        sample['image'] = image[top : top + self.size, left : left + self.size]
        return sample
