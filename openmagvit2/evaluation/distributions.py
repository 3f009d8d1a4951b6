"""Statistics of one set of images from one network."""

import warnings
from collections.abc import Iterator
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from openmagvit2.errors import UserError
from openmagvit2.evaluation.features import FeatureExtractor
from openmagvit2.evaluation.finite import check_finite
from openmagvit2.evaluation.frechet import moments, sums
from openmagvit2.evaluation.inception_score import InceptionScore


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


class Statistics:
    """Sums over a set for the Fréchet distance, and features if a metric compares single images.

    Args:
        dim: Length of a feature.
        keep: Number of images whose features are kept as float32: 50,000 of 2048 take 410 MB.
        score: Collects the logits if the Inception score is wanted.
    """

    def __init__(self, dim: int, keep: int = 0, score: InceptionScore | None = None) -> None:
        self.dim, self.score, self.count = dim, score, 0
        self.total = torch.zeros(1 + dim + dim * dim, dtype=torch.float64)
        # Allocated at once: joining parts at the end would need twice the memory.
        self._features = torch.empty(keep, dim) if keep else None
        self._moments: tuple[int, Tensor, Tensor] | None = None

    @classmethod
    def known(cls, count: int, mean: np.ndarray, cov: np.ndarray) -> 'Statistics':
        """Create from given moments; ``count`` is 0 if unknown."""
        statistics = cls(len(mean))
        statistics.count = count
        statistics._moments = (count, torch.from_numpy(mean), torch.from_numpy(cov))
        return statistics

    def update(self, out: dict[str, Tensor]) -> None:
        """Fold an extractor's output for a batch.

        Raises:
            UserError: The Inception score is asked for, and the network gives no logits.
        """
        features = out['features']
        self.total += sums(features).cpu()
        if self._features is not None:
            self._features[self.count : self.count + len(features)] = features
        self.count += len(features)
        if self.score is not None:
            if 'logits' not in out:
                raise UserError(
                    'The Inception score needs a network that classifies; this one gives '
                    'features only.'
                )
            self.score.update(out['logits'])

    @property
    def features(self) -> Tensor:
        """(count, dim) float32, where they were kept."""
        assert self._features is not None
        return self._features[: self.count]

    @property
    def moments(self) -> tuple[int, Tensor, Tensor]:
        """Count, mean and covariance."""
        return self._moments or moments(self.total, self.dim)


def collect(
    images: Images,
    extractor: FeatureExtractor,
    batch_size: int,
    device: str,
    statistics: Statistics,
) -> Statistics:
    """Run all images of a set through the network.

    Raises:
        UserError: The network gives NaN or infinite numbers.
    """
    extractor.prepare(device)
    with tqdm(total=len(images), desc=images.name, unit='image') as bar:
        for batch in images.batches(batch_size):
            with warnings.catch_warnings():
                # Of arrays that are not writable; they are only read.
                warnings.simplefilter('ignore')
                tensor = torch.from_numpy(batch).permute(0, 3, 1, 2).to(device)
            with torch.no_grad():
                out = extractor(tensor)
            for kind, values in out.items():
                check_finite(
                    values, f'{kind.capitalize()} of {extractor.name} for images of {images.name}'
                )
            statistics.update(out)
            bar.update(len(batch))
    return statistics
