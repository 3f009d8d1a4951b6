"""LeCAM's averages over a batch that arrives in parts, and MAGVIT's variant."""

import pytest
import torch
from torch.testing import assert_close

from openmagvit2.models.layers.iteration import one_iteration
from openmagvit2.models.losses import LeCAM


def logits() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    real, fake = (torch.randn(6, 1, 2, 2, generator=generator) for _ in range(2))
    return real, fake


def penalty(real, fake, real_average, fake_average):
    """The formula, without the class."""
    return ((real - fake_average).clamp_min(0) ** 2).mean() + (
        (real_average - fake).clamp_min(0) ** 2
    ).mean()


def test_parts_of_a_rehearsed_batch_see_the_averages_of_the_whole():
    real, fake = logits()
    whole, parts = LeCAM(decay=0.5).train(), LeCAM(decay=0.5).train()
    expected = whole(real, fake)
    assert_close(expected, penalty(real, fake, 0.5 * real.mean(), 0.5 * fake.mean()))
    pairs = list(zip(real.chunk(2), fake.chunk(2), strict=True))
    parts.whole_batch = True
    with one_iteration(parts, lambda: [parts(*pair) for pair in pairs]):
        values = [parts(*pair) for pair in pairs]
    assert_close(sum(values) / 2, expected)
    assert_close(parts.state_dict(), whole.state_dict())
    assert_close(whole.real_average, 0.5 * real.mean())
    # The next batch is one again.
    assert_close(parts(fake, real), whole(fake, real))


def test_parts_see_the_averages_after_the_parts_so_far():
    real, fake = logits()
    whole, parts = LeCAM(decay=0.5).train(), LeCAM(decay=0.5).train()
    whole(real, fake)
    pairs = list(zip(real.chunk(2), fake.chunk(2), strict=True))
    with one_iteration(parts):
        values = [parts(*pair) for pair in pairs]
        assert parts.real_average == 0
    first, second = pairs
    assert_close(values[0], penalty(*first, 0.5 * first[0].mean(), 0.5 * first[1].mean()))
    assert_close(values[1], penalty(*second, 0.5 * real.mean(), 0.5 * fake.mean()))
    assert_close(parts.state_dict(), whole.state_dict())


def test_evaluation_moves_nothing():
    lecam = LeCAM(decay=0.5).eval()
    lecam(*logits())
    assert lecam.real_average == 0


def test_magvits_form_is_of_means_with_the_averages_of_before():
    real, fake = logits()
    lecam = LeCAM(decay=0.5, of='mean').train()
    assert_close(lecam(real, fake), penalty(real.mean(), fake.mean(), torch.zeros(()), 0.0))
    assert_close(lecam.real_average, 0.5 * real.mean())
    expected = penalty(fake.mean(), real.mean(), 0.5 * real.mean(), 0.5 * fake.mean())
    assert_close(lecam(fake, real), expected)
    with pytest.raises(ValueError, match='LeCAM.of must be one of logits, mean, got'):
        LeCAM(of='patches')


def test_parts_of_a_rehearsed_batch_share_the_mean_of_the_whole():
    real, fake = logits()
    whole, parts = (LeCAM(decay=0.5, of='mean').train() for _ in range(2))
    for lecam in (whole, parts):
        lecam.real_average += 0.3
    real.requires_grad_()
    expected = whole(real, fake)
    (gradient,) = torch.autograd.grad(expected, real)
    assert gradient.abs().max() > 0
    pairs = list(zip(real.chunk(2), fake.chunk(2), strict=True))
    with one_iteration(parts, lambda: [parts(*pair) for pair in pairs]):
        values = [parts(*pair) for pair in pairs]
    assert_close(values, [expected, expected])
    assert_close(torch.autograd.grad(sum(values) / 2, real), (gradient,))
    assert_close(parts.state_dict(), whole.state_dict())
