"""TiTok's masked generators of both layouts through the converter: logits, loss, tokens, the file
back.
"""

import pytest
import torch
from official_networks import arrays, load_generator, near, weights
from torch.testing import assert_close

from openmagvit2.apis import init_model

SIZES = {
    'model.tokenizer.encoder.num_tokens': 12,
    'model.tokenizer.decoder.num_tokens': 12,
    'model.tokenizer.quantizer.codebook_size': 20,
    'model.conditioner.num_classes': 5,
    'model.backbone.dim': 32,
}
BERT = {'model.backbone.num_layers': 2, 'model.backbone.num_heads': 4, 'model.backbone.hidden': 48}
UVIT = {'model.backbone.num_layers': 4, 'model.backbone.num_heads': 2, 'model.backbone.hidden': 64}
CASES = {
    'titok_maskgit_tiny': ('tiny/titok_ar_32', BERT),
    'titok_maskgit_uvit_tiny': ('tiny/titok_ar_uvit_32', UVIT),
}
SCHEDULES = {
    'linear': dict(guidance=4.0, schedule='linear'),
    'constant': dict(guidance=2.5, schedule='constant'),
    'power_cosine': dict(guidance=4.0, schedule='cosine', power=3.0),
    'unguided': {},
}


@pytest.fixture(scope='module', params=CASES)
def name(request):
    return request.param


@pytest.fixture(scope='module')
def g(name):
    return arrays(name)


@pytest.fixture(scope='module')
def model(name):
    config, sizes = CASES[name]
    model, state = init_model(config, cfg_options=SIZES | sizes), weights(name, None)
    return load_generator(model, state)


def test_logits_and_loss(g, model):
    sub, label = g['indices'][..., None], g['labels']
    with torch.no_grad():
        near(model(sub, dict(label=label), g['masks'])[0], g['logits'])
        null = dict(label=torch.full_like(label, 5))
        near(model(sub, null, g['masks'])[0], g['logits_null'])
        # Without dropout: smoothing belongs to a training.
        model.head.train()
        loss = model.losses(sub, dict(label=label), masked=g['masks'])['sub_token_0']
        model.head.eval()
    assert_close(loss, g['loss'], atol=1e-4, rtol=0)


@pytest.mark.parametrize('schedule', SCHEDULES)
def test_tokens_without_noise(g, model, schedule):
    settings = dict(
        steps=4,
        choice_temperature=0.0,
        noisy_draws=True,
        confidence='logit',
        annealing=(1.3, 0.5),
        mask_schedule='arccos',
        closed=False,
    )
    tokens = model.generate(g['labels'], settings | SCHEDULES[schedule])
    assert tokens.flatten(1).equal(g[f'generated_{schedule}'])
