"""Decoding by confidence: how many tokens each step keeps, and which."""

import pytest
import torch

from openmagvit2.errors import UserError
from openmagvit2.models.samplers import build_sampler
from openmagvit2.models.samplers.masked import MaskedSampler, masked_share

# Masked tokens of 256 after each step, as the official code has them in float32.
COUNTS = {
    8: [251, 236, 212, 181, 142, 97, 49, 0],
    12: [253, 247, 236, 221, 203, 181, 155, 127, 97, 66, 33, 0],
    16: [254, 251, 244, 236, 225, 212, 197, 181, 162, 142, 120, 97, 74, 49, 25, 0],
}


@pytest.mark.parametrize('steps', COUNTS)
def test_cosine_in_float32(steps):
    ratios = torch.arange(1.0, steps + 1) / steps
    counts = (256 * masked_share(ratios, 'cosine', 256)).floor().int()
    assert counts.tolist() == COUNTS[steps]
    sampler, unknown = MaskedSampler(steps=steps), torch.ones(1, 256, dtype=torch.bool)
    masked = []
    for step in range(steps):
        unknown = sampler.remask(torch.randn(1, 256), unknown, torch.rand(1, 256), step)
        masked.append(unknown.sum().item())
    assert masked == [max(count, 1) for count in COUNTS[steps]]


# The same of the arc cosine, in float64 as TiTok's code has them.
ARCCOS_COUNTS = {
    (32, 8): [29, 26, 24, 21, 18, 14, 10],
    (64, 8): [58, 53, 48, 42, 36, 29, 20],
    (12, 4): [10, 8, 5],
}


@pytest.mark.parametrize(('tokens', 'steps'), ARCCOS_COUNTS)
def test_arc_cosine(tokens, steps):
    sampler = MaskedSampler(steps=steps, mask_schedule='arccos')
    unknown, masked = torch.ones(1, tokens, dtype=torch.bool), []
    for step in range(steps - 1):
        unknown = sampler.remask(torch.randn(1, tokens), unknown, torch.rand(1, tokens), step)
        masked.append(unknown.sum().item())
    assert masked == ARCCOS_COUNTS[tokens, steps]


def test_noisy_draws_cool_down_and_logits_are_the_confidence():
    torch.manual_seed(0)
    logits, uniform = torch.randn(1, 9, 5), torch.rand(1, 9)
    settings = dict(noisy_draws=True, confidence='logit', annealing=(1.3, 0.5))
    sampler = MaskedSampler(steps=4, choice_temperature=3.0, **settings)
    # After step 1 of 4 a half is left: logits / (0.5 + 0.8 / 2), drawn at the temperature 1.5.
    drawn, sure = sampler.drawn(logits, 0, uniform, 1)
    halfway = MaskedSampler(steps=4, temperature=0.9 * 1.5).drawn(logits, 0, uniform, 1)[0]
    assert drawn.equal(halfway) and not drawn.equal(logits.argmax(-1))
    assert torch.allclose(sure, logits.gather(-1, drawn[..., None])[..., 0] / 0.9)
    last, sure = sampler.drawn(logits, 0, uniform, 3)
    assert last.equal(logits.argmax(-1)) and torch.allclose(sure, logits.amax(-1) / 0.5)


def test_schedules_begin_masked_and_end_open():
    ends = torch.tensor([1e-9, 1.0])
    for name in ('cosine', 'arccos', 'uniform', 'pow3', 'pow0.5', 'log', 'exp'):
        first, last = masked_share(ends, name, 64).tolist()
        assert first > 0.95 and last == pytest.approx(1e-6), name
    with pytest.raises(UserError, match="'cosine', 'arccos'"):
        MaskedSampler(mask_schedule='sine')


def test_printed_figures_of_a_decoding():
    logits = (3 * torch.sin(0.7 * torch.arange(45.0) + 0.2)).view(1, 9, 5)
    sampler = MaskedSampler(steps=4, temperature=0.0, choice_temperature=0.0)
    unknown, uniform = torch.ones(1, 9, dtype=torch.bool), torch.full((1, 9), 0.5)
    left = []
    for step in range(4):
        drawn, log_p = sampler.drawn(logits, 0, uniform, step)
        unknown = sampler.remask(log_p, unknown, uniform, step)
        left.append(unknown[0].nonzero()[:, 0].tolist())
    assert drawn.tolist() == [[2, 4, 1, 4, 0, 4, 0, 3, 0]]
    assert left == [[0, 1, 2, 3, 4, 5, 7, 8], [0, 2, 4, 5, 7, 8], [0, 2, 7], [0]]


def test_noise_falls_to_nothing_at_the_last_step():
    torch.manual_seed(0)
    sampler = MaskedSampler(steps=4, choice_temperature=4.5)
    unknown, confidence = torch.ones(1, 9, dtype=torch.bool), torch.randn(1, 9)
    masks = [
        [sampler.remask(confidence, unknown, torch.rand(1, 9), step) for _ in range(20)]
        for step in (0, 3)
    ]
    assert len({tuple(mask[0].tolist()) for mask in masks[0]}) > 1
    assert len({tuple(mask[0].tolist()) for mask in masks[1]}) == 1


def test_guidance_and_confidence():
    logits = torch.randn(4, 3, 5, generator=torch.Generator().manual_seed(1))
    sampler = MaskedSampler(guidance=2.0, temperature=0.0)
    drawn, log_p = sampler.drawn(logits, 0, torch.full((2, 3), 0.5), 0)
    guided = 2 * logits[:2] - logits[2:]
    assert drawn.equal(guided.argmax(-1))
    assert torch.allclose(log_p, guided.log_softmax(-1).amax(-1), atol=1e-6)


@pytest.mark.parametrize(
    'settings',
    [
        dict(steps=0),
        dict(steps=2.5),
        dict(steps=True),
        dict(choice_temperature=-1.0),
        dict(confidence='entropy'),
        dict(annealing=(1.0, 0.0)),
    ],
)
def test_settings_out_of_range(settings):
    with pytest.raises(UserError, match=f'sampling.{next(iter(settings))}'):
        build_sampler(dict(settings, type='MaskedSampler'))
