"""Fréchet distance between two sets of features, from float64 sums."""

import torch
from torch import Tensor

from openmagvit2.dtypes import as_double
from openmagvit2.errors import UserError


def moments(total: Tensor, dim: int) -> tuple[int, Tensor, Tensor]:
    """Compute count, mean (dim,) and sample covariance (dim, dim) from :func:`sums`.

    Raises:
        UserError: There are fewer than two images, so that there is no covariance.
    """
    count = int(total[0])
    if count < 2:
        raise UserError(f'A Fréchet distance needs at least 2 images in each set, got {count}.')
    mean = total[1 : 1 + dim] / count
    outer = total[1 + dim :].view(dim, dim)
    return count, mean, (outer - count * torch.outer(mean, mean)) / (count - 1)


def sums(features: Tensor) -> Tensor:
    """Return count, sum and sum of outer products of features (B, dim), as one float64 vector
    (1 + dim + dim^2,).
    """
    x = as_double(features)
    return torch.cat([x.new_tensor([len(x)]), x.sum(0), (x.T @ x).flatten()])


def frechet_distance(mean_1: Tensor, cov_1: Tensor, mean_2: Tensor, cov_2: Tensor) -> float:
    """Compute ``|m1 - m2|^2 + tr(C1 + C2 - 2 sqrt(C1 C2))`` in float64, at any rank.

    The trace of the root is the sum of the singular values of sqrt(C1) sqrt(C2). Unlike with the
    eigenvalues of C1 C2, no root of a rounding error is taken.
    """
    product = _root(cov_1, mean_1).T @ _root(cov_2, mean_2)
    trace = torch.linalg.svdvals(product).sum()
    distance = (mean_1 - mean_2).square().sum() + cov_1.trace() + cov_2.trace() - 2 * trace
    # Two equal sets may come out below zero by rounding.
    return max(distance.item(), 0.0)


def _root(cov: Tensor, mean: Tensor) -> Tensor:
    """Return B (dim, rank) with B Bᵀ = cov, without directions that are zero up to rounding.

    The covariance is a difference of second moments and has their rounding errors. With fewer
    images than dimensions, eigenvalues that should be zero have this size, and their roots would
    change the distance.
    """
    values, vectors = torch.linalg.eigh((cov + cov.T) / 2)
    scale = values[-1].clamp_min(0) + mean.square().sum()
    kept = values > scale * len(values) * torch.finfo(cov.dtype).eps
    return vectors[:, kept] * values[kept].sqrt()
