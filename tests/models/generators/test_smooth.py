"""Smooth sampling of scales: mixtures of codes that end as single codes."""

import pytest
import torch

from openmagvit2.apis import init_model
from openmagvit2.errors import UserError
from openmagvit2.models.samplers import smooth_mixture


def test_a_mixture_gets_sharper():
    logits = torch.tensor([2.0, 1.0, 0.0, float('-inf')])
    uniform = torch.full((4,), 0.5, dtype=torch.float64)
    first = smooth_mixture(logits, uniform, 0.0)
    # Equal noise of all codes does not matter.
    torch.testing.assert_close(first, (logits / 0.27).softmax(-1))
    half = smooth_mixture(logits, uniform, 0.5)
    torch.testing.assert_close(half, (logits * 1.5 / (0.27 * 0.525)).softmax(-1))
    last = smooth_mixture(logits, uniform, 1.0)
    torch.testing.assert_close(last, (logits * 2 / (0.27 * 0.05)).softmax(-1))
    assert last[0] > 0.999 and first[3] == 0
    others = smooth_mixture(logits, torch.tensor([1e-300, 0.0, 1 - 1e-16, 0.5]).double(), 1.0)
    assert others.isfinite().all() and others.argmax() == 2


def test_images_of_mixtures():
    torch.manual_seed(0)
    model = init_model('tiny/var_32').eval()
    smooth = dict(decoding='smooth', guidance=2.0, schedule='linear')
    images = model.images([0, 1, 1], smooth, seed=3)
    assert images.shape == (3, 3, 32, 32) and images.isfinite().all()
    assert not images[1].equal(images[2])
    alone = model.images([1], smooth, seed=3, numbers=[1])
    torch.testing.assert_close(alone[0], images[2], atol=1e-4, rtol=0)
    hard = dict(smooth, decoding='sequential')
    assert not torch.allclose(model.images([0], hard, seed=3), images[:1], atol=1e-3)
    with pytest.raises(UserError, match='mixes codes and produces no indices'):
        model.generate([0], smooth)


def test_other_paradigms_have_none():
    model = init_model('tiny/ar_32')
    with pytest.raises(
        UserError, match="decoding='smooth': Autoregressive.* supports sequential, jacobi"
    ):
        model.images([0], dict(decoding='smooth'))
