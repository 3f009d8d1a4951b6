"""Fréchet distance: rounding errors must not affect the result."""

import pytest
import torch

from openmagvit2.evaluation.frechet import frechet_distance, moments, sums


def distance(first, second, batch):
    sets = []
    for features in (first, second):
        total = sum(sums(part) for part in features.split(batch))
        sets += moments(total, features.shape[1])[1:]
    return frechet_distance(*sets)


def test_fewer_images_than_dimensions_far_from_zero():
    """Directions without variance contain rounding errors of the second moments."""
    generator = torch.Generator().manual_seed(0)
    first = torch.randn(20, 150, generator=generator, dtype=torch.float64)
    second = torch.randn(12, 150, generator=generator, dtype=torch.float64)
    expected = distance(first, second, 20)
    for batch in (3, 7, 20):
        found = distance(first + 100, second + 100, batch)
        assert found == pytest.approx(expected, rel=1e-11)
