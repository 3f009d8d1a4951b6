"""Kernel Inception distance of two sets of features."""

from torch import Tensor

from openmagvit2.errors import UserError
from openmagvit2.evaluation.finite import check_features


def kernel_distance(
    generated: Tensor, reference: Tensor, subsets: int = 100, size: int = 1000, seed: int = 2020
) -> dict[str, float]:
    """Compute KID: the unbiased squared MMD with torch-fidelity's cubic kernel.

    The result is the mean and the standard deviation over random subsets.

    Args:
        generated, reference: Features (N, dim) and (M, dim).
        subsets, size: Number of subsets, and images per subset; at most as many as a set has.
        seed: Random seed of the subsets.

    Raises:
        UserError: A set has fewer than two images, or features that are not finite.
    """
    from torch_fidelity.metric_kid import kid_features_to_metric

    size = min(size, len(generated), len(reference))
    if size < 2:
        raise UserError(
            f'KID needs at least 2 images in each set, got {len(generated)} and {len(reference)}.'
        )
    check_features(generated, reference)
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
