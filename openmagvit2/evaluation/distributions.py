"""Statistics of one set of images from one network: computed, read from a file, or cached."""

import logging
import math
import os
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from mmengine.logging import print_log
from torch import Tensor
from tqdm import tqdm

from openmagvit2.errors import UserError
from openmagvit2.evaluation.features import FeatureExtractor
from openmagvit2.evaluation.finite import check_finite
from openmagvit2.evaluation.frechet import moments, sums
from openmagvit2.evaluation.images import ImageSet, read_header
from openmagvit2.evaluation.inception_score import InceptionScore
from openmagvit2.io import usable, write_atomically


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


def read_statistics(path: Path, dim: int) -> Statistics | None:
    """Read ``mu`` and ``sigma`` from an npz; None for another kind of file.

    ADM's reference files have them beside the images.

    Raises:
        UserError: The file is not an npz, has only one of the two, or they are not mean and
            covariance of this network's features.
    """
    if path.suffix.lower() != '.npz' or not usable(path).is_file():
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
        present = {'mu.npy', 'sigma.npy'} & names
        if not present:
            return None
        _check_length(path, present, dim)
        with np.load(path, allow_pickle=False) as data:
            arrays = {name: data[name] for name in ('mu', 'sigma') if f'{name}.npy' in present}
    except UserError:
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError) as error:
        raise UserError(f'{path} is not a readable npz: {error}') from None
    if len(arrays) < 2:
        raise UserError(f'{path} has {next(iter(arrays))} alone: statistics are mu and sigma.')
    length = arrays['mu'].size
    for name, shape in dict(mu=(length,), sigma=(length, length)).items():
        array = arrays[name]
        if array.dtype.kind not in 'fiu' or array.shape != shape:
            raise UserError(
                f'{path}: mu must be real numbers (D,), sigma (D, D); {name} is {array.dtype} '
                f'{array.shape}.'
            )
    mean, cov = (array.astype(np.float64) for array in arrays.values())
    if len(mean) != dim:
        raise UserError(
            f'{path}: mu has {len(mean)} numbers, the network {dim} features: these are '
            f'statistics of another network.'
        )
    if not (np.isfinite(mean).all() and np.isfinite(cov).all()):
        raise UserError(f'{path}: mu or sigma is not finite.')
    # Files in single precision are off by their rounding.
    if (cov.diagonal() < 0).any() or np.abs(cov - cov.T).max() > 1e-5 * np.abs(cov).max():
        raise UserError(
            f'{path}: sigma is no covariance: it is not symmetric, or has a negative variance.'
        )
    # The count is not written in such files.
    return Statistics.known(0, mean, cov)


def _check_length(path: Path, members: set[str], dim: int) -> None:
    """Check the headers before reading: a small file can announce, or unpack to, terabytes."""
    with zipfile.ZipFile(path) as archive:
        for name in sorted(members):
            with archive.open(name) as member:
                shape, _, _ = read_header(member)
            # Twice as long is another network's, which has an error of its own.
            if math.prod(shape) > max(2 * dim, 4096) ** 2:
                raise UserError(
                    f'{path}: {name} has the shape {shape}, the network {dim} features.'
                )


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


def cached_moments(
    images: ImageSet, extractor: FeatureExtractor, batch_size: int, device: str
) -> Statistics:
    """Return the moments of a reference set, from the cache if it has them.

    The cache is indexed by the hashes of images (as read) and network, below
    ``$OPENMAGVIT2_CACHE`` (or ``~/.cache/openmagvit2``).
    """
    extractor.prepare(device)
    folder = Path(os.environ.get('OPENMAGVIT2_CACHE', Path.home() / '.cache' / 'openmagvit2'))
    kept = folder / f'{extractor.name}_{extractor.key()[:16]}_{images.key()[:24]}.npz'
    known = _kept_moments(kept)
    if known:
        return known
    statistics = collect(images, extractor, batch_size, device, Statistics(extractor.dim))
    if not images.skipped:
        _keep_moments(kept, *statistics.moments)
    return statistics


def _kept_moments(kept: Path) -> Statistics | None:
    """Read cached moments; None if the file is missing or damaged."""
    if not kept.is_file():
        return None
    try:
        with np.load(kept, allow_pickle=False) as data:
            return Statistics.known(int(data['count']), data['mu'], data['sigma'])
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, KeyError, ValueError) as error:
        print_log(
            f'{kept} is damaged ({error}); the statistics are computed again.',
            'current',
            logging.WARNING,
        )
        return None


def _keep_moments(kept: Path, count: int, mean: Tensor, cov: Tensor) -> None:
    """Keep moments; if the folder cannot be written, only the next run takes longer."""
    try:
        with write_atomically(kept) as file:
            np.savez(file, count=count, mu=mean.numpy(), sigma=cov.numpy())
    except UserError as error:
        print_log(
            f'Statistics are not kept for the next run: {error} OPENMAGVIT2_CACHE names another '
            f'folder.',
            'current',
            logging.WARNING,
        )
