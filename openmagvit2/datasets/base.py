"""The base class of image data sets."""

import copy
from abc import abstractmethod
from typing import Any

import numpy as np
from PIL import Image
from torch.utils.data import Dataset

from openmagvit2.datasets.labels import Labeled
from openmagvit2.datasets.pictures import transformed
from openmagvit2.registry import TRANSFORMS


class ImageDataset(Labeled, Dataset):
    """Images with optional labels, which can be read by index.

    Random transforms depend only on (seed, epoch, index), not on workers or on resuming.

    Args:
        pipeline: Configs of transforms, applied in order to ``dict(image=uint8 (H, W, 3), label,
            index, rng)``; those of this package receive a :class:`Picture` as the image.
        seed: Random seed of the transforms.
    """

    def __init__(self, *, pipeline: list[dict] | None = None, seed: int = 0) -> None:
        self.pipeline = [TRANSFORMS.build(step) for step in pipeline or []]
        self.seed = seed

    def fingerprint(self) -> str | None:
        """Return a hash that changes with the images, or None if the class does not compute one."""
        return None

    def with_pipeline(self, pipeline: list[dict]) -> 'ImageDataset':
        """Return a copy with other transforms, without searching for files again."""
        other = copy.copy(self)
        other.pipeline = [TRANSFORMS.build(step) for step in pipeline]
        return other

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of images."""

    @abstractmethod
    def load(self, index: int) -> tuple[np.ndarray, int]:
        """Return an image as uint8 (H, W, 3) RGB and its label, -1 if it has none.

        Raises:
            UserError: It cannot be read; the message names it.
        """

    def read(self, index: int) -> tuple[np.ndarray | Image.Image, int]:
        """Return the input of the pipeline: the same as :meth:`load`, or a Pillow image in RGB
        where a class need not make an array.
        """
        return self.load(index)

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        # A class that overrides `load` also changes the input of its pipeline.
        if 'load' in vars(cls) and 'read' not in vars(cls):
            cls.read = ImageDataset.read  # type: ignore[method-assign]

    def __getitem__(self, key: int | tuple[int, int]) -> dict:
        """Return ``dict(image=uint8 (3, H, W), label, index, uniform)``.

        The key is an index, or (index, epoch) from the training sampler.
        """
        index, epoch = key if isinstance(key, tuple) else (key, 0)
        image, label = self.read(index)
        rng = np.random.default_rng((self.seed, epoch, index))
        sample = dict(image=image, label=label, index=index, rng=rng)
        sample = transformed(sample, self.pipeline)
        return dict(
            image=sample['image'],
            label=sample['label'],
            index=index,
            uniform=uniform(self.seed, epoch, index),
        )


def uniform(seed: int, epoch: int, index: int) -> float:
    """Draw a number in [0, 1) for random decisions of the model, such as dropping a label.

    It is independent of the random numbers of the transforms.
    """
    return float(np.random.default_rng((seed, epoch, index, 1)).random())
