"""Two sets of images through one network: Fréchet distance, Inception score, precision and recall, KID.

Definitions are those of the ADM evaluator where torch-fidelity's functions have them: generated set first, precision and recall with the 3rd
neighbour, the Inception score in consecutive splits of 5,000.
"""

import os
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric
from tqdm import tqdm

from openmagvit2.evaluation.features import FeatureExtractor
from openmagvit2.evaluation.frechet import frechet_distance, moments, sums
from openmagvit2.evaluation.images import ImageSet

METRICS = ('fd', 'is', 'precision_recall', 'kid')
# Fewer images than these make a number that means little.
ENOUGH = dict(fd=10_000, precision_recall=10_000, kid=1_000)
SPLIT = 5000
NEIGHBOURS = 3


class Statistics:
    """What metrics need of one set: sums for the Fréchet distance; features and logits only where a metric compares images.

    Args:
        dim: Length of a feature.
        keep_features, keep_logits: Whether to keep them, in float32: 50,000 of 2048 are 410 MB.
    """

    def __init__(self, dim: int, keep_features: bool = False, keep_logits: bool = False) -> None:
        self.dim, self.total = dim, torch.zeros(1 + dim + dim * dim, dtype=torch.float64)
        self.keep_features, self.keep_logits = keep_features, keep_logits
        self.features: list[Tensor] = []
        self.logits: list[Tensor] = []
        self._moments: tuple[int, Tensor, Tensor] | None = None

    def update(self, out: dict[str, Tensor]) -> None:
        """Fold what an extractor gives for a batch."""
        self.total += sums(out['features']).cpu()
        if self.keep_features:
            self.features.append(out['features'].cpu())
        if self.keep_logits:
            self.logits.append(out['logits'].cpu())

    @property
    def moments(self) -> tuple[int, Tensor, Tensor]:
        """Count, mean and covariance."""
        return self._moments or moments(self.total, self.dim)


def read_statistics(path: Path, dim: int) -> Statistics | None:
    """An npz of ``mu`` and ``sigma`` (ADM's reference files have them beside the images); None where it is another kind of file.

    Raises:
        ValueError: They are of another network.
    """
    if path.is_dir() or path.suffix != '.npz' or not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as data:
        if not {'mu', 'sigma'} <= set(data.files):
            return None
        mean, cov = (torch.from_numpy(np.asarray(data[key], np.float64)) for key in ('mu', 'sigma'))
    if mean.shape != (dim,) or cov.shape != (dim, dim):
        raise ValueError(f'{path}: mu has {tuple(mean.shape)} numbers, the network {dim} features: these are statistics of another network.')
    statistics = Statistics(dim)
    # The count is not written in such files.
    statistics._moments = (0, mean, cov)
    return statistics


def collect(images: ImageSet, extractor: FeatureExtractor, batch_size: int, device: str, statistics: Statistics) -> Statistics:
    """All images of a set through the network."""
    extractor.prepare(device)
    bar = tqdm(total=len(images), desc=images.path.name, unit='image')
    for batch in images.batches(batch_size):
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # of arrays that are not writable; they are only read
            tensor = torch.from_numpy(batch).permute(0, 3, 1, 2).to(device)
        with torch.no_grad():
            statistics.update(extractor(tensor))
        bar.update(len(batch))
    bar.close()
    return statistics


def cached_moments(images: ImageSet, extractor: FeatureExtractor, batch_size: int, device: str) -> Statistics:
    """Moments of a reference set, kept by the hashes of images and weights below ``$OPENMAGVIT2_CACHE`` (or ``~/.cache/openmagvit2``)."""
    extractor.prepare(device)
    folder = Path(os.environ.get('OPENMAGVIT2_CACHE', Path.home() / '.cache' / 'openmagvit2'))
    weights = str(extractor.weights_info.get('sha256', extractor.weights_info.get('file')))
    kept = folder / f'{extractor.name}_{weights[:12]}_{images.hash()[:24]}.npz'
    if kept.is_file():
        with np.load(kept, allow_pickle=False) as data:
            statistics = Statistics(extractor.dim)
            statistics._moments = (int(data['count']), torch.from_numpy(data['mu']), torch.from_numpy(data['sigma']))
            return statistics
    statistics = collect(images, extractor, batch_size, device, Statistics(extractor.dim))
    count, mean, cov = statistics.moments
    if not images.skipped:
        folder.mkdir(parents=True, exist_ok=True)
        beside = kept.with_name(f'.tmp-{os.getpid()}-{kept.name}')
        np.savez(beside, count=count, mu=mean.numpy(), sigma=cov.numpy())
        os.replace(beside, kept)
    return statistics


def compare(samples: Statistics, reference: Statistics, extractor: FeatureExtractor, metrics: tuple[str, ...]) -> dict[str, float]:
    """Values by name; the samples are the generated set."""
    values: dict[str, float] = {}
    if 'fd' in metrics:
        values[extractor.distance_name] = frechet_distance(*samples.moments[1:], *reference.moments[1:])
    if 'is' in metrics:
        logits = torch.cat(samples.logits)
        score = isc_features_to_metric(logits, splits=max(len(logits) // SPLIT, 1), shuffle=False)
        values |= dict(inception_score=score['inception_score_mean'], inception_score_std=score['inception_score_std'])
    if 'precision_recall' in metrics or 'kid' in metrics:
        pair = torch.cat(samples.features), torch.cat(reference.features)
    if 'precision_recall' in metrics:
        out = prc_features_to_metric(*pair, prc_neighborhood=NEIGHBOURS, prc_batch_size=2000, save_cpu_ram=True, verbose=False)
        values |= dict(precision=out['precision'], recall=out['recall'])
    if 'kid' in metrics:
        size = min(1000, *map(len, pair))
        out = kid_features_to_metric(*pair, kid_subsets=100, kid_subset_size=size, rng_seed=2020, verbose=False)
        values |= dict(kid=out['kernel_inception_distance_mean'], kid_std=out['kernel_inception_distance_std'])
    return values
