"""Comparison of a generated set with a reference: metrics and their record.

The metrics are torch-fidelity's with the definitions of the ADM evaluator: generated set first,
precision and recall with the 3rd neighbour, the Inception score in consecutive splits of 5,000, and
the Fréchet distance to the statistics in the reference file if it has any. In ADM's files these are
of the whole training set; their 10,000 images are used for precision and recall only.
"""

import zipfile
from dataclasses import dataclass, field
from pathlib import Path

from openmagvit2.errors import UserError
from openmagvit2.evaluation.distributions import Images, Statistics, collect
from openmagvit2.evaluation.features import FeatureExtractor
from openmagvit2.evaluation.frechet import frechet_distance
from openmagvit2.evaluation.images import ImageSet
from openmagvit2.evaluation.inception_score import InceptionScore
from openmagvit2.evaluation.kernel_distance import kernel_distance
from openmagvit2.evaluation.names import METRICS
from openmagvit2.evaluation.precision_recall import precision_recall
from openmagvit2.evaluation.statistics_files import cached_moments, read_statistics
from openmagvit2.io import Colour

# Metrics that compare single images of both sets.
PAIRED = {'precision_recall', 'kid'}
# With fewer images the value depends on their number.
ENOUGH = dict(fd=10_000, precision_recall=10_000, kid=1_000)
ENOUGH_SAMPLES = ENOUGH | {'is': 5_000}


class Reference:
    """What samples are compared with: images, statistics, or both.

    Args:
        path: An npz of images, of statistics (``mu``, ``sigma``), or of both; or a folder.
        dim: Length of the network's features.
        skip_broken, background: See :class:`ImageSet`.

    Raises:
        UserError: It is none of these.
    """

    def __init__(
        self, path: str | Path, dim: int, skip_broken: bool = False, background: Colour = 'white'
    ) -> None:
        path = Path(path)
        self.given = read_statistics(path, dim)
        self.images: ImageSet | None = None
        if not self.given or _has_images(path):
            self.images = ImageSet(path, skip_broken, background)


def _has_images(path: Path) -> bool:
    with zipfile.ZipFile(path) as archive:
        return 'arr_0.npy' in archive.namelist()


@dataclass
class Result:
    """Values by name, and a description of what they measure."""

    values: dict[str, float]
    samples: dict
    reference: dict
    network: dict
    protocol: dict[str, str]
    versions: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    skipped: dict[str, list[str]] = field(default_factory=dict)


def choose_metrics(names: tuple[str, ...] | None, reference: Reference) -> tuple[str, ...]:
    """Check names against the reference; by default all that it allows, except KID.

    Raises:
        UserError: An unknown name, or one that needs images of a reference that has none.
    """
    if names is None:
        return ('fd', 'is', 'precision_recall') if reference.images else ('fd', 'is')
    for name in names:
        if name not in METRICS:
            raise UserError(f'--metrics {name}: choose from {", ".join(METRICS)}.')
        if name in PAIRED and not reference.images:
            raise UserError(
                f'--metrics {name} compares images: the reference must hold arr_0, or be a '
                f'folder, not statistics alone.'
            )
    return names


def compare(
    samples: Images,
    reference: Reference,
    extractor: FeatureExtractor,
    metrics: tuple[str, ...],
    batch_size: int = 50,
    device: str = 'cpu',
) -> Result:
    """Measure a generated set against a reference.

    Memory: a batch, sums, and for metrics that compare single images the features of both sets.

    Raises:
        UserError: An image or file that cannot be read, or too few of them for a metric.
    """
    extractor.prepare(device)
    paired = bool(PAIRED & set(metrics))
    score = InceptionScore() if 'is' in metrics else None
    how = (extractor, batch_size, device)
    ours = Statistics(extractor.dim, len(samples) if paired else 0, score)
    collect(samples, *how, ours)
    theirs = None
    if paired:
        theirs = Statistics(extractor.dim, len(reference.images))
        collect(reference.images, *how, theirs)
    elif 'fd' in metrics and not reference.given:
        theirs = cached_moments(reference.images, *how)
    values = measure(ours, theirs, extractor, metrics, reference.given)
    return Result(
        values=values,
        samples=dict(count=ours.count),
        reference=dict(images=theirs.count if theirs else None, statistics=bool(reference.given)),
        network=extractor.describe(),
        protocol=_protocol(metrics, reference),
        warnings=_warnings(metrics, samples, ours, reference, theirs),
        skipped=dict(
            samples=samples.skipped, reference=reference.images.skipped if reference.images else []
        ),
    )


def measure(
    ours: Statistics,
    theirs: Statistics | None,
    extractor: FeatureExtractor,
    metrics: tuple[str, ...],
    given: Statistics | None = None,
) -> dict[str, float]:
    """Return the values by name.

    Args:
        ours: Statistics of the generated set.
        theirs: Statistics of the reference's images.
        extractor: The feature network, which names the distance.
        metrics: Names in ``METRICS``.
        given: Statistics in the reference file, used for the Fréchet distance if given.
    """
    values: dict[str, float] = {}
    if 'fd' in metrics:
        values[extractor.distance_name] = frechet_distance(
            *ours.moments[1:], *(given or theirs).moments[1:]
        )
    if 'is' in metrics:
        values |= ours.score.result()
    if 'precision_recall' in metrics:
        values |= precision_recall(ours.features, theirs.features)
    if 'kid' in metrics:
        values |= kernel_distance(ours.features, theirs.features)
    return values


def _protocol(metrics: tuple[str, ...], reference: Reference) -> dict[str, str]:
    """Describe how each metric is computed."""
    of = 'the statistics of all images of the reference'
    if reference.given:
        of = "the reference file's statistics (mu, sigma)"
    texts = dict(
        fd=f'Fréchet distance to {of}',
        precision_recall="generated set first, 3rd neighbour, against the reference's images",
        kid="100 subsets of at most 1,000, cubic kernel, against the reference's images",
    )
    texts['is'] = 'consecutive splits of 5,000, not shuffled; the reference plays no part'
    return {name: texts[name] for name in metrics}


def _warnings(
    metrics: tuple[str, ...],
    samples: Images,
    ours: Statistics,
    reference: Reference,
    theirs: Statistics | None,
) -> list[str]:
    lines = [
        f'{ours.count} samples are few for {name}; below {least} it depends on their number.'
        for name, least in ENOUGH_SAMPLES.items()
        if name in metrics and ours.count < least
    ]
    # The distance is to the statistics of the file where it has any.
    paired = [name for name in ENOUGH if name in metrics and not (name == 'fd' and reference.given)]
    lines += [
        f'{theirs.count} reference images are few for {name}; below {ENOUGH[name]} it depends on '
        f'their number.'
        for name in paired
        if theirs and theirs.count < ENOUGH[name]
    ]
    own, other = samples.size, reference.images.size if reference.images else None
    if own and other and own != other:
        (height, width), (other_height, other_width) = own, other
        lines.append(
            f'samples are {height}x{width} pixels, reference images {other_height}x{other_width}: '
            f'a resize stands between them.'
        )
    return lines
