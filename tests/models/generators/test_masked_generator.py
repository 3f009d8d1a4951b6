"""The masked generator: training masks, losses on masked tokens alone, samples."""

import math

import pytest
import torch

from openmagvit2.apis import init_model
from openmagvit2.errors import UserError
from openmagvit2.models.layers.init import init_truncated

CONFIG = 'tiny/maskgit_32_official'


@pytest.fixture(scope='module')
def model():
    torch.manual_seed(0)
    return init_model(CONFIG)


def batch(model, count=3):
    generator = torch.Generator().manual_seed(0)
    sub = torch.randint(32, (count, model.num_tokens, 1), generator=generator)
    return sub, dict(label=torch.arange(count))


def test_masks_are_the_lowest_scores_of_the_scheduled_share(model):
    draws = torch.rand(200, model.num_draws, generator=torch.Generator().manual_seed(0))
    masked = model.masks(draws)
    share = torch.cos(torch.pi / 2 * draws[:, 0])
    assert masked.sum(1).equal((share * 16).floor().clamp_min(1).long())
    scores = draws[:, 1:]
    hidden = scores.masked_fill(~masked, 0).amax(1)
    assert (hidden <= scores.masked_fill(masked, 2).amin(1)).all()


@torch.no_grad()
def test_masked_tokens_are_not_seen_and_open_ones_not_counted(model):
    sub, condition = batch(model)
    masked = torch.zeros(3, 16, dtype=torch.bool)
    masked[:, 3:8] = True
    loss = model.losses(sub, condition, masked=masked)['sub_token_0']
    changed = sub.clone()
    changed[:, 3:8] = (sub[:, 3:8] + 1) % 32
    contexts = [model.context(x, condition, masked) for x in (sub, changed)]
    assert contexts[0].equal(contexts[1])
    expected = model.head.losses_per_token(contexts[0], sub)[:, 3:8].mean()
    assert torch.allclose(loss, expected, atol=1e-6)


@torch.no_grad()
def test_visible_tokens_count_a_little_in_a_batch_as_one():
    options = {'model.visible_weight': 0.1, 'model.average': 'batch'}
    model = init_model(CONFIG, cfg_options=options).eval()
    sub, condition = batch(model, 2)
    masked = torch.zeros(2, 16, dtype=torch.bool)
    masked[0, :4] = masked[1, :12] = True
    loss = model.losses(sub, condition, masked=masked)['sub_token_0']
    each = model.head.losses_per_token(model.context(sub, condition, masked), sub)[..., 0]
    expected = (each[masked].sum() + 0.1 * each[~masked].sum()) / (16 + 0.1 * 16)
    assert torch.allclose(loss, expected, atol=1e-6)


def test_numbers_of_masked_tokens_are_rounded():
    options = {'model.mask_schedule': 'arccos', 'model.mask_rounding': 'round'}
    model = init_model(CONFIG, cfg_options=options)
    draws = torch.rand(200, model.num_draws, generator=torch.Generator().manual_seed(0))
    counts = (16 * torch.arccos(draws[:, 0]) * 2 / torch.pi).round().clamp_min(1)
    assert model.masks(draws).sum(1).equal(counts.long())


@torch.no_grad()
def test_validation_is_the_same_for_an_image_in_any_batch(model):
    sub, condition = batch(model)
    nll = model.nll(sub, condition)
    alone = model.nll(sub[1:2], dict(label=condition['label'][1:2]))
    assert nll.shape == (3,) and torch.allclose(nll[1:2], alone, atol=1e-4)
    # A uniform guess of 16 tokens of 32 codes.
    assert nll.mean().item() == pytest.approx(16 * math.log(32), rel=0.05)


def test_a_sample_is_a_function_of_seed_class_and_number(model):
    indices = model.generate([0, 1, 1], seed=3)
    assert indices.shape == (3, 4, 4) and not indices[1].equal(indices[2])
    assert model.generate([1], seed=3, numbers=[1]).equal(indices[2:])
    assert not model.generate([1], seed=4, numbers=[1]).equal(indices[2:])
    few = model.generate([1], dict(steps=1), seed=3)
    assert few.shape == (1, 4, 4)


def test_more_steps_than_tokens(model):
    assert model.generate([1], dict(steps=16)).shape == (1, 4, 4)
    for steps in (17, 10**9):
        with pytest.raises(UserError, match=f'sampling.steps={steps} exceeds the 16 tokens'):
            model.generate([1], dict(steps=steps))


def test_what_does_not_go_together_is_named():
    with pytest.raises(UserError, match='more_rows must be at least 6'):
        init_model(CONFIG, cfg_options={'model.head.more_rows': 5})
    with pytest.raises(UserError, match="must be one of image, batch, got 'token'"):
        init_model(CONFIG, cfg_options={'model.average': 'token'})
    with pytest.raises(UserError, match='guidance must be 1'):
        init_model(CONFIG).generate([0], dict(guidance=2.0))
    with pytest.raises(UserError, match='needs MaskedSampler'):
        init_model(CONFIG).generate([0], dict(type='SubTokenSampler'))


@torch.no_grad()
def test_guidance_with_a_null_class_and_sub_tokens():
    """Another conditioner, a causal backbone that takes sets of rows, and two sub-tokens."""
    options = {
        'model.conditioner': dict(_delete_=True, type='ClassLabel', num_classes=5),
        'model.backbone': dict(_delete_=True, type='Llama', dim=32, num_layers=1, num_heads=2),
        'model.head': dict(_delete_=True, type='SeparateHead', more_rows=1, zero_init=False),
        'model.factorization': dict(type='TokenFactorization', bits=[2, 3]),
    }
    model = init_model(CONFIG, cfg_options=options)
    model.backbone.eval()
    sub = torch.zeros(2, 16, 2, dtype=torch.int64)
    masked = torch.ones(2, 16, dtype=torch.bool)
    losses = model.losses(sub, dict(label=torch.tensor([0, 1])), masked=masked)
    assert set(losses) == {'sub_token_0', 'sub_token_1'}
    indices = model.generate([0, 1], dict(guidance=2.0, steps=3))
    assert indices.shape == (2, 4, 4) and indices.max() < 32
    # Each token sees later ones.
    one = masked.clone()
    one[:, -1] = False
    last = [model.context(x, dict(label=torch.tensor([0, 1])), one) for x in (sub, sub + 1)]
    assert not last[0][:, 0].equal(last[1][:, 0])


def test_weights_are_normal_and_cut_at_two_deviations():
    layer = torch.nn.Linear(300, 300)
    init_truncated(layer)
    assert layer.weight.abs().max() <= 0.04 + 1e-7 and not layer.bias.any()
    # The deviation of a normal distribution cut at two of its own.
    assert layer.weight.std().item() == pytest.approx(0.02 * 0.87962, rel=0.01)
