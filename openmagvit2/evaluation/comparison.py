"""Comparison of a generated set with a reference: metrics and their record.

The metrics are torch-fidelity's, with the definitions of the ADM evaluator: generated set first,
precision and recall with the 3rd nearest neighbor, the Inception score in consecutive splits of
5,000, and the Fréchet distance to the statistics in the reference file if it has any. In ADM's
files, the statistics cover the whole training set, and the 10,000 images are used only for
precision and recall.
"""

from dataclasses import dataclass, field
from importlib.metadata import version

import torch

from openmagvit2.errors import UserError
from openmagvit2.evaluation.distributions import Images, batches
from openmagvit2.evaluation.metrics.sample_frechet import SampleFrechet
from openmagvit2.evaluation.metrics.sample_inception_score import SampleInceptionScore
from openmagvit2.evaluation.metrics.sample_pairs import SampleKernelDistance, SamplePrecisionRecall
from openmagvit2.evaluation.metrics.samples import SampleMetric
from openmagvit2.evaluation.names import METRICS
from openmagvit2.evaluation.reference import Reference

KINDS: dict[str, type[SampleMetric]] = dict(
    fd=SampleFrechet, precision_recall=SamplePrecisionRecall, kid=SampleKernelDistance
) | {'is': SampleInceptionScore}


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
    """Return the metrics to compute: ``names``, by default all that the reference allows but KID.

    Raises:
        UserError: A name is unknown, or needs images that the reference does not have.
    """
    if names is None:
        return ('fd', 'is', 'precision_recall') if reference.images else ('fd', 'is')
    for name in names:
        if name not in METRICS:
            raise UserError(f'--metrics {name}: choose from {", ".join(METRICS)}.')
        if KINDS[name].needs == 'images' and not reference.images:
            raise UserError(
                f'--metrics {name} compares images, but the reference has only statistics; give '
                f'an npz with arr_0 or a folder.'
            )
    return names


def compare(
    samples: Images, reference: Reference, metrics: tuple[str, ...], batch_size: int = 50
) -> Result:
    """Compare a generated set with a reference, using the reference's network.

    Memory holds a batch, sums, and for metrics that compare single images the features of both
    sets.

    Raises:
        UserError: An image or file cannot be read, or there are too few for a metric.
    """
    extractor, count, values = reference.extractor, 0, {}
    extractor.prepare()
    measured = []
    for name in metrics:
        against = dict(reference=reference) if KINDS[name].needs else {}
        measured.append(KINDS[name](features=extractor, **against))
    for images in batches(samples, batch_size, extractor.device):
        places = torch.arange(count, count + len(images))
        batch = dict(samples=images, places=places, count=len(samples))
        batch['name'] = f'images of {samples.name}'
        for metric in measured:
            metric.update(batch)
        count += len(images)
    if any(metric.needs == 'images' for metric in measured):
        # Before the moments, which then need no second pass.
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
        precision_recall="generated set first, 3rd neighbor, against the reference's images",
        kid="100 subsets of at most 1,000, cubic kernel, against the reference's images",
    )
    texts['is'] = 'consecutive splits of 5,000, not shuffled; the reference plays no part'
    return {name: texts[name] for name in metrics}


def _warnings(
    metrics: tuple[str, ...], samples: Images, count: int, reference: Reference
) -> list[str]:
    chosen = {name: kind for name, kind in KINDS.items() if name in metrics}
    lines = [
        f'{count} samples are few for {name}; below {kind.enough} it depends on their number.'
        for name, kind in chosen.items()
        if count < kind.enough
    ]
    for name, kind in chosen.items():
        # Statistics in the reference file take precedence over its images.
        unread = kind.needs is None or (kind.needs == 'statistics' and reference.given)
        if not unread and reference.count is not None and reference.count < kind.enough:
            lines.append(
                f'{reference.count} reference images are few for {name}; below {kind.enough} it '
                f'depends on their number.'
            )
    own, other = samples.size, reference.images.size if reference.images else None
    if own and other and own != other:
        (height, width), (other_height, other_width) = own, other
        lines.append(
            f'samples are {height}x{width} pixels, reference images {other_height}x{other_width}: '
            f'a resize stands between them.'
        )
    return lines
