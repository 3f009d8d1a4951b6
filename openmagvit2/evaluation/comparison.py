"""Comparison of a generated set with a reference: metrics and their record.

The metrics are torch-fidelity's with the definitions of the ADM evaluator: generated set first,
precision and recall with the 3rd neighbour, the Inception score in consecutive splits of 5,000, and
the Fréchet distance to the statistics in the reference file if it has any. In ADM's files these are
of the whole training set; their 10,000 images are used for precision and recall only.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version

import torch

from openmagvit2.errors import UserError
from openmagvit2.evaluation.distributions import Images, batches
from openmagvit2.evaluation.metrics.samples import (
    SampleFrechet,
    SampleInceptionScore,
    SampleKernelDistance,
    SampleMetric,
    SamplePrecisionRecall,
)
from openmagvit2.evaluation.names import METRICS
from openmagvit2.evaluation.reference import Reference

KINDS: dict[str, Callable[..., SampleMetric]] = dict(
    fd=SampleFrechet, precision_recall=SamplePrecisionRecall, kid=SampleKernelDistance
) | {'is': SampleInceptionScore}
# Metrics that compare single images of both sets.
PAIRED = {'precision_recall', 'kid'}
# With fewer images the value depends on their number.
ENOUGH = dict(fd=10_000, precision_recall=10_000, kid=1_000)
ENOUGH_SAMPLES = ENOUGH | {'is': 5_000}


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
    samples: Images, reference: Reference, metrics: tuple[str, ...], batch_size: int = 50
) -> Result:
    """Measure a generated set against a reference, through the reference's network.

    Memory: a batch, sums, and for metrics that compare single images the features of both sets.

    Raises:
        UserError: An image or file that cannot be read, or too few of them for a metric.
    """
    extractor, count, values = reference.extractor, 0, {}
    extractor.prepare()
    measured = [
        KINDS[name](features=extractor, **({} if name == 'is' else dict(reference=reference)))
        for name in metrics
    ]
    for images in batches(samples, batch_size, extractor.device):
        places = torch.arange(count, count + len(images))
        batch = dict(samples=images, places=places, count=len(samples))
        batch['name'] = f'images of {samples.name}'
        for metric in measured:
            metric.update(batch)
        count += len(images)
    if PAIRED & set(metrics):
        # Before the moments, which then need no pass of their own.
        _ = reference.features
    for metric in measured:
        values |= metric.evaluate(count)
    return Result(
        values=values,
        samples=dict(count=count),
        reference=dict(images=reference.count, statistics=bool(reference.given)),
        network=extractor.describe(),
        protocol=_protocol(metrics, reference),
        versions={name: version(name) for name in ('torch', 'torch-fidelity')},
        warnings=_warnings(metrics, samples, count, reference),
        skipped=dict(
            samples=samples.skipped, reference=reference.images.skipped if reference.images else []
        ),
    )


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
    metrics: tuple[str, ...], samples: Images, count: int, reference: Reference
) -> list[str]:
    lines = [
        f'{count} samples are few for {name}; below {least} it depends on their number.'
        for name, least in ENOUGH_SAMPLES.items()
        if name in metrics and count < least
    ]
    # The distance is to the statistics of the file where it has any.
    paired = [name for name in ENOUGH if name in metrics and not (name == 'fd' and reference.given)]
    lines += [
        f'{reference.count} reference images are few for {name}; below {ENOUGH[name]} it depends '
        f'on their number.'
        for name in paired
        if reference.count is not None and reference.count < ENOUGH[name]
    ]
    own, other = samples.size, reference.images.size if reference.images else None
    if own and other and own != other:
        (height, width), (other_height, other_width) = own, other
        lines.append(
            f'samples are {height}x{width} pixels, reference images {other_height}x{other_width}: '
            f'a resize stands between them.'
        )
    return lines
