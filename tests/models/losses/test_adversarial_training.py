"""Adversarial training: losses, weights, regularizers, and which network steps first."""

import math

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from openmagvit2.errors import UserError
from openmagvit2.models.losses import R1, AdaptiveWeight, Adversarial, LinearWeight, build_weight
from openmagvit2.models.losses.adversarial import passing_only
from openmagvit2.registry import DISCRIMINATORS, LOSSES


class Dot(nn.Module):
    """Discriminator of one logit, ``scale * sum(image)``."""

    def __init__(self, scale: float = 2.0) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(scale))

    def forward(self, image):
        return self.scale * image.flatten(1).sum(1).view(-1, 1, 1, 1)

    def features(self, image):
        return [self.scale * image, image.square()]


class Plain(nn.Module):
    """A regularizer of version 1: logits alone."""

    def forward(self, real, fake):
        return (real - fake).mean()


@pytest.fixture(autouse=True)
def slots():
    DISCRIMINATORS.register_module(module=Dot, force=True)
    LOSSES.register_module(module=Plain, force=True)
    yield
    DISCRIMINATORS.module_dict.pop('Dot')
    LOSSES.module_dict.pop('Plain')


def images() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    real, fake = (torch.randn(2, 3, 4, 4, generator=generator) for _ in range(2))
    return real, fake


def test_terms_of_the_generator():
    real, fake = images()
    game = Adversarial(
        discriminator=dict(type='Dot'), generator_loss='mean', weight=0.5, features=4
    )
    parts = game.build_parts()
    assert list(parts) == ['discriminator']
    fake.requires_grad_()
    total, losses, stats = game.generator_terms(
        parts['discriminator'], real, fake, torch.zeros(()), None, 0
    )
    adversarial = -2 * fake.sum() / 2
    features = 2 * (fake - real).abs().mean() + (fake.square() - real.square()).abs().mean()
    assert_close(losses, dict(adversarial=adversarial, features=features))
    assert_close(total, 0.5 * adversarial + 4 * features)
    total.backward()
    assert fake.grad is not None and parts['discriminator'].scale.grad is None and not stats


def test_terms_of_the_discriminator():
    real, fake = images()
    game = Adversarial(
        discriminator=dict(type='Dot', scale=0.1),
        discriminator_weight=3.0,
        regularizers=[
            dict(type='LeCAM', weight=0.05, decay=0.5),
            dict(type='R1', weight=dict(type='LinearWeight', start=0.0, end=10.0, steps=10)),
            dict(type='Plain'),
            dict(type='Plain', weight=2.0),
            dict(type='Plain', name='mine', weight=0.0),
        ],
    )
    parts = game.build_parts()
    discriminator = parts.pop('discriminator')
    assert list(parts) == ['lecam', 'r1', 'plain', 'plain_2', 'mine']
    total, losses, stats = game.discriminator_terms(discriminator, parts, real, fake, 5)
    r, f = (0.1 * x.flatten(1).sum(1) for x in (real, fake))
    hinge = 0.5 * ((1 - r).clamp_min(0).mean() + (1 + f).clamp_min(0).mean())
    lecam = (r - 0.5 * f.mean()).clamp_min(0).square().mean()
    lecam = lecam + (0.5 * r.mean() - f).clamp_min(0).square().mean()
    # The gradient of a logit at each of 3 x 4 x 4 numbers is 0.1.
    r1 = torch.tensor(48 * 0.1**2)
    assert_close(
        losses,
        dict(
            disc_adversarial=hinge,
            lecam=lecam,
            r1=r1,
            plain=(r - f).mean(),
            plain_2=(r - f).mean(),
            mine=(r - f).mean(),
        ),
    )
    assert_close(total, 3 * hinge + 0.05 * lecam + 5 * r1 + 3 * (r - f).mean())
    assert_close(stats['lecam_real_average'], 0.5 * r.mean())
    assert_close(stats['logits_fake'], f.mean())


def test_adversarial_start_and_missing_discriminator():
    game = Adversarial(discriminator=dict(type='Dot'), start=3)
    assert [game.is_active(i) for i in (0, 2, 3)] == [False, False, True]
    nothing = Adversarial(discriminator=None, regularizers=[dict(type='LeCAM')])
    assert not nothing.is_active(10) and nothing.build_parts() == {}


def test_a_type_of_none_removes_a_regularizer():
    parts = [dict(type=None, weight=1.0), dict(type='R1')]
    game = Adversarial(discriminator=dict(type='Dot'), regularizers=parts)
    assert list(game.build_parts()) == ['discriminator', 'r1']


@pytest.mark.parametrize(
    ('wrong', 'text'),
    [
        (
            dict(generator_loss='hinge'),
            'training.adversarial.generator_loss must be one of non_sat',
        ),
        (dict(first='both'), 'training.adversarial.first must be one of generator, discriminator'),
        (dict(weight=dict(type='L1Loss')), 'training.adversarial.weight must be a number, or'),
        (dict(weight='much'), 'training.adversarial.weight must be a number, or'),
        (dict(regularizers=[dict(weight=1)]), 'regularizers: a part has no `type`: {.weight.: 1}'),
    ],
)
def test_mistakes_name_the_key(wrong, text):
    with pytest.raises(UserError, match=text):
        Adversarial(discriminator=dict(type='Dot'), **wrong)


def test_features_need_a_discriminator_that_has_some():
    game = Adversarial(discriminator=dict(type='Dot'), features=1.0)
    real, fake = images()
    with pytest.raises(UserError, match='Flatten has no method `features'):
        game.generator_terms(nn.Flatten(), real, fake, None, None, 0)


def test_adaptive_weight_is_the_ratio_of_gradient_norms():
    layer = nn.Parameter(torch.tensor([3.0, 4.0]))
    reconstruction, adversarial = layer.square().sum(), (layer * torch.tensor([0.6, 0.8])).sum()
    weight = AdaptiveWeight(weight=0.8)(reconstruction, adversarial, layer)
    # |(6, 8)| = 10 and |(0.6, 0.8)| = 1.
    assert weight.item() == pytest.approx(0.8 * 10 / (1 + 1e-4), rel=1e-6)
    assert AdaptiveWeight(high=4.0)(reconstruction, adversarial, layer).item() == pytest.approx(3.2)
    assert AdaptiveWeight(low=20.0)(reconstruction, adversarial, layer).item() == 16.0
    with pytest.raises(UserError, match='last layer, which is frozen'):
        AdaptiveWeight()(reconstruction, adversarial, layer.detach())


def test_adaptive_weight_averages_gradients_over_processes_before_their_norms(monkeypatch):
    layer, others = nn.Parameter(torch.tensor([3.0, 4.0])), torch.tensor([-6.0, 8.0])
    monkeypatch.setattr(
        'openmagvit2.models.losses.adaptive_weight.all_reduce_mean', lambda x: (x + others) / 2
    )
    reconstruction, adversarial = layer.square().sum(), (layer * torch.tensor([6.0, 0.0])).sum()
    weight = AdaptiveWeight(weight=1.0)(reconstruction, adversarial, layer)
    # The means are (0, 8) and (0, 4).
    assert weight.item() == pytest.approx(8 / (4 + 1e-4), rel=1e-6)


def test_r1_is_a_mean_over_images_and_counts_what_its_interval_leaves_out():
    real, _ = images()

    class Cubic(nn.Module):
        def forward(self, image):
            return image.pow(3).sum((1, 2, 3)).view(-1, 1, 1, 1)

    given = dict(discriminator=Cubic(), image=real)
    expected = (3 * real.square()).square().sum() / 2
    assert_close(R1()(None, None, iteration=7, **given), expected)
    sparse = R1(interval=4)
    assert sparse(None, None, iteration=7, **given) is None
    assert_close(sparse(None, None, iteration=8, **given), 4 * expected)
    with pytest.raises(UserError, match='BatchNorm'):
        R1()(None, None, iteration=0, discriminator=nn.BatchNorm2d(3), image=real)


def test_r1_trains_the_discriminator():
    discriminator, (real, _) = Dot(), images()
    R1()(None, None, discriminator=discriminator, image=real, iteration=0).backward()
    # 48 scale^2, so 96 scale.
    assert discriminator.scale.grad.item() == pytest.approx(96 * 2.0)


def test_a_weight_on_a_line():
    weight = LinearWeight(start=0.3, end=0.1, steps=2000)
    assert [weight(i) for i in (0, 1000, 2000, 5000)] == pytest.approx([0.3, 0.2, 0.1, 0.1])
    # MAGVIT's w (1 + k max(0, 1 - i / steps)).
    assert weight(500) == pytest.approx(0.1 * (1 + 2 * (1 - 500 / 2000)))
    assert build_weight(0.5, 'key')(17) == 0.5
    with pytest.raises(UserError, match='^key must be a number, or a schedule'):
        build_weight(True, 'key')


def test_what_is_frozen_stays_frozen():
    pair = nn.ModuleList([Dot(), Dot()])
    pair[0].requires_grad_(False)
    with passing_only(pair):
        assert not any(p.requires_grad for p in pair.parameters())
    assert [p.requires_grad for p in pair.parameters()] == [False, True]
    assert math.isclose(pair[1].scale.item(), 2.0)
