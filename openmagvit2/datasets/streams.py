"""The base class of endless streams of images."""

from collections.abc import Iterator
from typing import Any, TypeVar

import numpy as np
from mmengine.dist import get_dist_info
from PIL import Image
from torch import nn
from torch.utils.data import IterableDataset

from openmagvit2.datasets.labels import UNLABELLED
from openmagvit2.datasets.pictures import transformed
from openmagvit2.errors import UserError
from openmagvit2.io import Colour, to_colour
from openmagvit2.protocols import Classifying
from openmagvit2.registry import TRANSFORMS

# Unreadable samples in a row that raise an error.
MAX_UNREADABLE = 1000
Item = TypeVar('Item')


class ImageStream(IterableDataset):
    """Base class of endless streams: a training on one needs ``train_cfg.max_iters`` and
    ``train_dataloader.sampler=None``.

    Args:
        background: Colour behind transparent pixels: a name or code, or three numbers up to 255.
        pipeline: Configs of transforms.
        seed: Random seed.
    """

    # Names of the classes, where they are known.
    classes: list[str] | None = None
    # Whether images have labels.
    labelled = False
    # Number of this process and their count, in a loader worker that is no fork of it.
    place: tuple[int, int] | None = None
    # What has images by number.
    instead = 'name a data set of files'

    def __init__(self, background: Colour, pipeline: list[dict] | None, seed: int) -> None:
        self.background = to_colour(background)
        self.pipeline = [TRANSFORMS.build(step) for step in pipeline or []]
        self.seed, self.start = seed, 0

    def __getstate__(self) -> dict[str, Any]:
        """Keep the place among the processes: a worker that is started anew has no group of them,
        and would read what the first process reads.
        """
        return self.__dict__ | dict(place=get_dist_info())

    @property
    def num_classes(self) -> int | None:
        """Number of classes, or None where they are not known."""
        return None if self.classes is None else len(self.classes)

    @property
    def metainfo(self) -> dict:
        """Names of the classes, where they are known."""
        return dict(classes=self.classes)

    def __len__(self) -> int:
        raise UserError(
            f'{type(self).__name__} is an endless stream: a training needs '
            f'train_dataloader.sampler=None with it; to validate or to tokenize, {self.instead}.'
        )

    def seek(self, samples: int) -> None:
        """Go on as a training that has seen ``samples`` samples, counted over all processes."""
        self.start = samples

    def check_model(self, model: nn.Module) -> str | None:
        """Return what a training would not learn; see :meth:`ImageDataset.check_model`.

        Raises:
            UserError: There are more classes than the model's.
        """
        classes = model.num_classes if isinstance(model, Classifying) else None
        name = type(self).__name__
        if classes is None:
            return None
        if self.num_classes is not None and self.num_classes > classes:
            raise UserError(
                f'{name} has {self.num_classes} classes, the model {classes}; set '
                f'model.conditioner.num_classes={self.num_classes}.'
            )
        if self.labelled:
            return None
        return (
            f'{name}: images have no labels (all are {UNLABELLED}), so the training is '
            f'unconditional: it learns the null class alone.'
        )

    def sample(
        self, image: np.ndarray | Image.Image, label: int, index: int, rng: np.random.Generator
    ) -> dict[str, Any]:
        """Return ``dict(image=uint8 (3, H, W), label, index)`` after the transforms."""
        sample = dict(image=image, label=label, index=index, rng=rng)
        sample = transformed(sample, self.pipeline)
        return dict(image=sample['image'], label=sample['label'], index=index)


def shuffled(items: Iterator[Item], size: int, rng: np.random.Generator) -> Iterator[Item]:
    """Yield each item once, drawn from a buffer of ``size`` items."""
    buffer: list[Item] = []
    for item in items:
        buffer.append(item)
        if len(buffer) >= size:
            place = int(rng.integers(len(buffer)))
            buffer[place], buffer[-1] = buffer[-1], buffer[place]
            yield buffer.pop()
    yield from (buffer[i] for i in rng.permutation(len(buffer)))
