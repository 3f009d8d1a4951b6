"""Metrics that compare single images of two sets, by torch-fidelity: precision, recall and KID."""

from torch import Tensor

from openmagvit2.errors import UserError
from openmagvit2.evaluation.finite import check_finite

# Rows whose distances to all others are held at once: 500 x 50,000 are 100 MB.
PART = 500


def precision_recall(generated: Tensor, reference: Tensor, neighbours: int = 3) -> dict[str, float]:
    """Compute improved precision and recall (Kynkäänniemi et al., 2019).

    ``precision`` is the part of the generated images that lie within the distance of some reference
    image to its k-th neighbour among the reference images; ``recall`` is the same with the sets
    exchanged.

    Args:
        generated, reference: Features (N, dim) and (M, dim), float32.
        neighbours: k; the ADM evaluator takes 3.

    Raises:
        UserError: A set has no k-th neighbours, or features that are not finite.
    """
    from torch_fidelity.metric_prc import prc_features_to_metric

    if min(len(generated), len(reference)) <= neighbours:
        raise UserError(
            f'Precision and recall need more than {neighbours} images in each set, got '
            f'{len(generated)} and {len(reference)}.'
        )
    _check(generated, reference)
    out = prc_features_to_metric(
        generated,
        reference,
        prc_neighborhood=neighbours,
        prc_batch_size=PART,
        save_cpu_ram=True,
        verbose=False,
    )
    return dict(precision=out['precision'], recall=out['recall'])


def kernel_distance(
    generated: Tensor, reference: Tensor, subsets: int = 100, size: int = 1000, seed: int = 2020
) -> dict[str, float]:
    """Compute KID: the unbiased squared MMD with torch-fidelity's cubic kernel.

    The result is mean and standard deviation over subsets drawn from ``seed``.

    Args:
        generated, reference: Features (N, dim) and (M, dim).
        subsets, size: How many subsets of how many images; a smaller set makes smaller subsets.
        seed: Random seed of the draws.

    Raises:
        UserError: A set has fewer than two images, or features that are not finite.
    """
    from torch_fidelity.metric_kid import kid_features_to_metric

    size = min(size, len(generated), len(reference))
    if size < 2:
        raise UserError(
            f'KID needs at least 2 images in each set, got {len(generated)} and {len(reference)}.'
        )
    _check(generated, reference)
    out = kid_features_to_metric(
        generated,
        reference,
        kid_subsets=subsets,
        kid_subset_size=size,
        rng_seed=seed,
        verbose=False,
    )
    return dict(
        kid=out['kernel_inception_distance_mean'], kid_std=out['kernel_inception_distance_std']
    )


def _check(generated: Tensor, reference: Tensor) -> None:
    """Raise UserError for features that are not finite: comparisons with NaN would give 0."""
    for features, name in ((generated, 'generated'), (reference, 'reference')):
        check_finite(features, f'Features of the {name} set')
