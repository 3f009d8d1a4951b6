"""Mean and covariance of a set of images in an npz: published files, and our cache."""

import logging
import math
import os
import zipfile
import zlib
from pathlib import Path

import numpy as np
import torch
from mmengine.logging import print_log
from torch import Tensor

from openmagvit2.errors import UserError
from openmagvit2.evaluation.distributions import features
from openmagvit2.evaluation.features import FeatureExtractor
from openmagvit2.evaluation.frechet import moments, sums
from openmagvit2.evaluation.images import ImageSet, read_header
from openmagvit2.io import usable, write_atomically

# Exceptions of reading a damaged npz.
DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError)


def read_statistics(path: Path, dim: int) -> tuple[Tensor, Tensor] | None:
    """Read ``mu`` and ``sigma`` from an npz, float64; return None for another kind of file.

    ADM's reference files have them in addition to the images.

    Args:
        path: The file.
        dim: Length of the network's features.

    Raises:
        UserError: The npz cannot be read or has only one of the two, or they are not mean and
            covariance of features of this length.
    """
    if path.suffix.lower() != '.npz' or not usable(path).is_file():
        return None
    try:
        arrays = _arrays(path, dim)
    except UserError:
        raise
    except DAMAGED as error:
        raise UserError(f'{path} is not a readable npz: {error}') from None
    if not arrays:
        return None
    if len(arrays) < 2:
        raise UserError(f'{path} has only {next(iter(arrays))}: statistics are mu and sigma.')
    _check_shapes(path, arrays, dim)
    mean, cov = (array.astype(np.float64) for array in arrays.values())
    _check_numbers(path, mean, cov)
    return torch.from_numpy(mean), torch.from_numpy(cov)


def _arrays(path: Path, dim: int) -> dict[str, np.ndarray]:
    """Read which of ``mu`` and ``sigma`` a file has, in this order."""
    with zipfile.ZipFile(path) as archive:
        present = [name for name in ('mu', 'sigma') if f'{name}.npy' in archive.namelist()]
        for name in present:
            # A small file can unpack to terabytes.
            with archive.open(f'{name}.npy') as member:
                shape, _, _ = read_header(member)
            # Up to twice the length is another network's, which has an error of its own.
            if math.prod(shape) > max(2 * dim, 4096) ** 2:
                raise UserError(
                    f'{path}: {name}.npy has the shape {shape}, but the network has {dim} features.'
                )
    with np.load(path, allow_pickle=False) as data:
        return {name: data[name] for name in present}


def _check_shapes(path: Path, arrays: dict[str, np.ndarray], dim: int) -> None:
    length = arrays['mu'].size
    for name, shape in dict(mu=(length,), sigma=(length, length)).items():
        array = arrays[name]
        if array.dtype.kind not in 'fiu' or array.shape != shape:
            raise UserError(
                f'{path}: mu must be real numbers (D,), sigma (D, D); {name} is {array.dtype} '
                f'{array.shape}.'
            )
    if length != dim:
        raise UserError(
            f'{path}: mu has {length} numbers, but the network has {dim} features: these are '
            f'statistics of another network.'
        )


def _check_numbers(path: Path, mean: np.ndarray, cov: np.ndarray) -> None:
    if not (np.isfinite(mean).all() and np.isfinite(cov).all()):
        raise UserError(f'{path}: mu or sigma is not finite.')
    # Files in single precision have rounding errors.
    if (cov.diagonal() < 0).any() or np.abs(cov - cov.T).max() > 1e-5 * np.abs(cov).max():
        raise UserError(
            f'{path}: sigma is not a covariance: it is not symmetric, or a variance is negative.'
        )


def cached_moments(
    images: ImageSet, extractor: FeatureExtractor, batch_size: int
) -> tuple[int, Tensor, Tensor]:
    """Return count, mean and covariance of a reference set, from the cache if possible.

    The cache is in ``$OPENMAGVIT2_CACHE`` (or ``~/.cache/openmagvit2``); its keys are the hashes of
    the network and of the images and how they are read.
    """
    extractor.prepare()
    folder = Path(os.environ.get('OPENMAGVIT2_CACHE', Path.home() / '.cache' / 'openmagvit2'))
    kept = folder / f'{extractor.name}_{extractor.key()[:16]}_{images.key()[:24]}.npz'
    known = _kept_moments(kept)
    if known:
        return known
    total = sum(sums(part).cpu() for part in features(images, extractor, batch_size))
    found = moments(total, extractor.dim)
    if not images.skipped:
        _keep_moments(kept, *found)
    return found


def _kept_moments(kept: Path) -> tuple[int, Tensor, Tensor] | None:
    """Read cached moments; return None if the file is missing or damaged."""
    if not kept.is_file():
        return None
    try:
        with np.load(kept, allow_pickle=False) as data:
            return int(data['count']), *(torch.from_numpy(data[name]) for name in ('mu', 'sigma'))
    except (KeyError, TypeError, *DAMAGED) as error:
        print_log(
            f'{kept} is damaged ({error}); the statistics will be computed again.',
            'current',
            logging.WARNING,
        )
        return None


def _keep_moments(kept: Path, count: int, mean: Tensor, cov: Tensor) -> None:
    """Write moments to the cache; if that fails, only the next run takes longer."""
    try:
        with write_atomically(kept) as file:
            np.savez(file, count=count, mu=mean.numpy(), sigma=cov.numpy())
    except UserError as error:
        print_log(
            f'The statistics are not cached for the next run: {error} Set OPENMAGVIT2_CACHE to '
            f'another folder.',
            'current',
            logging.WARNING,
        )
