"""MaskGIT's transformer: network, loss, schedules, decoding and converter against the official
code.
"""

from pathlib import Path

import pytest
import torch
from appendix import GOLDENS, golden
from official_networks import same
from torch.testing import assert_close

from openmagvit2.apis import init_model
from openmagvit2.checkpoint import read_checkpoint, to_official, to_ours
from openmagvit2.models.samplers.masked import MaskedSampler, masked_share

CONFIG = Path(__file__).parents[3] / 'configs' / 'tiny' / 'maskgit_32_official.py'
FILE = GOLDENS / 'systems' / 'maskgit_transformer_tiny.msgpack'


@pytest.fixture(scope='module')
def g():
    return golden('systems/maskgit_transformer_tiny')


@pytest.fixture(scope='module')
def model():
    model = init_model(CONFIG)
    converted, _ = to_ours(read_checkpoint(FILE)['state_dict'], model)
    missing, unexpected = model.load_state_dict(converted['state_dict'], strict=False)
    assert not unexpected and all(name.startswith('tokenizer.') for name in missing)
    return model


@torch.no_grad()
def test_tokenizer():
    state = read_checkpoint(GOLDENS / 'systems' / 'maskgit_tiny.msgpack')['state_dict']
    case = golden('systems/maskgit_tiny')
    part = dict(channels=32, channel_multipliers=(2, 1))
    quantizer = {'quantizer.codebook_size': 64, 'quantizer.code_dim': 16}
    options = {f'model.tokenizer.{key}': value for key, value in quantizer.items()}
    options |= {
        f'model.tokenizer.{name}.{key}': value
        for name in ('encoder', 'decoder')
        for key, value in part.items()
    }
    model = init_model(CONFIG, cfg_options=options).tokenizer
    ours, _ = to_ours(state, model)
    model.load_state_dict(ours['state_dict'])
    back, _ = to_official(ours, model)
    same(back['state_dict'], state)
    out = model.encode(2 * case['x'] - 1)
    assert out.indices.equal(case['indices'])
    assert_close(model.decode(out.codes) / 2 + 0.5, case['recon'], atol=1e-4, rtol=0)


def test_there_and_back(model):
    state = read_checkpoint(FILE)['state_dict']
    back, _ = to_official(to_ours(state, model)[0], model)
    same(back['state_dict'], state)


def test_logits_and_loss(g, model):
    model.train()
    masked, sub_indices = g['mask'], g['targets'][..., None]
    prefix, _ = model.embed(dict(label=g['labels']))
    tokens = torch.where(
        masked[..., None], model.head.embeddings[0].weight[-1], model.head.embed(sub_indices)
    )
    logits = model.head.all_logits(model.backbone(torch.cat([prefix, tokens], 1)))
    assert_close(logits, g['logits'], atol=1e-4, rtol=0)
    context = model.context(sub_indices, dict(label=g['labels']), masked)
    losses = model.head.losses_per_token(context, sub_indices)[..., 0]
    loss = ((losses * masked).sum(1) / masked.sum(1)).mean()
    assert_close(loss, g['loss'], atol=1e-5, rtol=0)
    grad = torch.autograd.grad(loss, model.head.embeddings[0].weight)[0]
    assert_close(grad, g['grad_embedding'], atol=1e-5, rtol=0)
    model.eval()


def test_schedules(g):
    for name in ('cosine', 'uniform', 'pow2', 'log', 'exp'):
        share = masked_share(g['ratios'], name, 16)
        assert_close(share, g[f'schedule_{name}'], atol=1e-6, rtol=1e-5)


@torch.no_grad()
def test_greedy_decoding_step_by_step(g, model):
    expected = g['greedy']
    sampler = MaskedSampler(steps=expected.shape[1], choice_temperature=0.0, temperature=0.0)
    random = torch.full((len(expected), *model.draw_shape(sampler)), 0.5)
    steps = model.decode_steps(dict(label=g['labels']), sampler, random)
    assert torch.stack(steps, 1)[..., 0].equal(expected)
