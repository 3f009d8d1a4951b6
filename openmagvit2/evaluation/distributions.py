"""Sets of images, batch by batch, and their features."""

import warnings
from collections.abc import Iterator
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from openmagvit2.evaluation.features import FeatureExtractor


class Images(Protocol):
    """A set of images to measure: an :class:`ImageSet`, or another source of batches."""

    name: str
    skipped: list[str]
    # (H, W), if known.
    size: tuple[int, int] | None

    def __len__(self) -> int:
        """Return the number of images, including those that may be skipped."""

    def batches(self, size: int) -> Iterator[np.ndarray]:
        """Yield arrays uint8 (B, H, W, 3)."""


def batches(images: Images, size: int, device: torch.device) -> Iterator[Tensor]:
    """Yield a set as uint8 (B, 3, H, W) on a device, under a progress bar."""
    with tqdm(total=len(images), desc=images.name, unit='image') as bar:
        for batch in images.batches(size):
            with warnings.catch_warnings():
                # The warning is about read-only arrays, which are not written here.
                warnings.simplefilter('ignore')
                tensor = torch.from_numpy(batch)
            yield tensor.permute(0, 3, 1, 2).to(device)
            bar.update(len(batch))


def features(images: Images, extractor: FeatureExtractor, size: int) -> Iterator[Tensor]:
    """Yield the features (B, dim) of a set in batches, on the network's device.

    Raises:
        UserError: The network returns NaN or infinite values.
    """
    for batch in batches(images, size, extractor.device):
        yield extractor.outputs(batch, f'images of {images.name}')['features']
