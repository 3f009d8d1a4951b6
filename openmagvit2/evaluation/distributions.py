"""A set of images, batch by batch, and its features."""

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
    # (H, W), once known.
    size: tuple[int, int] | None

    def __len__(self) -> int:
        """Return the number of images, including those that will be skipped."""

    def batches(self, size: int) -> Iterator[np.ndarray]:
        """Yield arrays uint8 (B, H, W, 3)."""


def batches(images: Images, size: int, device: torch.device) -> Iterator[Tensor]:
    """Yield a set as uint8 (B, 3, H, W) on a device, under a progress bar."""
    with tqdm(total=len(images), desc=images.name, unit='image') as bar:
        for batch in images.batches(size):
            with warnings.catch_warnings():
                # Of arrays that are not writable; they are only read.
                warnings.simplefilter('ignore')
                tensor = torch.from_numpy(batch)
            yield tensor.permute(0, 3, 1, 2).to(device)
            bar.update(len(batch))


def features(images: Images, extractor: FeatureExtractor, size: int) -> Iterator[Tensor]:
    """Yield the features (B, dim) of a set by batches, where the network is.

    Raises:
        UserError: The network gives NaN or infinite numbers.
    """
    for batch in batches(images, size, extractor.device):
        yield extractor.outputs(batch, f'images of {images.name}')['features']
