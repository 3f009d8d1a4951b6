"""The base class of endless image streams."""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np
from mmengine.dist import get_dist_info
from PIL import Image
from torch.utils.data import IterableDataset

from openmagvit2.datasets.labels import Labeled
from openmagvit2.datasets.pictures import transformed
from openmagvit2.errors import UserError
from openmagvit2.io import Color, UnreadableImage, to_color
from openmagvit2.registry import TRANSFORMS

# Number of consecutive unreadable samples that raises an error.
MAX_UNREADABLE = 1000
Item = TypeVar('Item')
Found = TypeVar('Found')


class ImageStream(Labeled, IterableDataset):
    """Base class of endless streams: a training on one needs ``train_cfg.max_iters`` and
    ``train_dataloader.sampler=None``.

    Args:
        background: Color behind transparent pixels: a name, a code, or three numbers up to 255.
        pipeline: Configs of transforms.
        seed: Random seed.
    """

    labeled = False
    # Rank of this process and number of processes, in a loader worker that is not a fork of it.
    place: tuple[int, int] | None = None
    # Alternative with images by index, for errors.
    instead = 'name a data set of files'
    # For errors: what the stream consists of, and what to correct if nothing can be read.
    items, correct = 'samples', 'the files'

    def __init__(self, background: Color, pipeline: list[dict] | None, seed: int) -> None:
        self.background = to_color(background)
        self.pipeline = [TRANSFORMS.build(step) for step in pipeline or []]
        self.seed, self.start = seed, 0

    def __getstate__(self) -> dict[str, Any]:
        """Add the rank: a spawned worker has no process group, and would read the data of the first
        process.
        """
        return self.__dict__ | dict(place=get_dist_info())

    def __len__(self) -> int:
        raise UserError(
            f'{type(self).__name__} is an endless stream: training on it needs '
            f'train_dataloader.sampler=None; to validate or tokenize, {self.instead}.'
        )

    def seek(self, samples: int) -> None:
        """Continue after ``samples`` samples, counted over all processes."""
        self.start = samples

    def readable(
        self,
        items: Iterator[Item],
        read: Callable[[Item], Found],
        report: Callable[[UnreadableImage], None],
    ) -> Iterator[tuple[Item, Found]]:
        """Yield the items that can be read together with their content; report the others.

        Raises:
            UserError: None of the last ``MAX_UNREADABLE`` items can be read.
        """
        in_a_row = 0
        for item in items:
            try:
                found = read(item)
            except UnreadableImage as error:
                in_a_row += 1
                report(error)
                if in_a_row == MAX_UNREADABLE:
                    raise UserError(
                        f'{type(self).__name__}: the last {in_a_row} {self.items} could not be '
                        f'read, such as {error.name}; correct {self.correct}.'
                    ) from error
                continue
            in_a_row = 0
            yield item, found

    def sample(
        self, image: np.ndarray | Image.Image, label: int, index: int, rng: np.random.Generator
    ) -> dict[str, Any]:
        """Apply the transforms and return ``dict(image=uint8 (3, H, W), label, index)``."""
        sample = dict(image=image, label=label, index=index, rng=rng)
        sample = transformed(sample, self.pipeline)
        return dict(image=sample['image'], label=sample['label'], index=index)


def shuffled(items: Iterator[Item], size: int, rng: np.random.Generator) -> Iterator[Item]:
    """Yield each item once, drawn at random from a buffer of ``size`` items."""
    buffer: list[Item] = []
    for item in items:
        buffer.append(item)
        if len(buffer) >= size:
            place = int(rng.integers(len(buffer)))
            buffer[place], buffer[-1] = buffer[-1], buffer[place]
            yield buffer.pop()
    yield from (buffer[i] for i in rng.permutation(len(buffer)))
