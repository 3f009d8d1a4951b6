"""ViT-VQGAN's transformer with time mixing through its converter: logits, loss, greedy tokens."""

import pytest
import torch
from official_networks import arrays, load_generator, near, weights
from torch.testing import assert_close

from openmagvit2.apis import init_model

SIZES = {
    'model.image_size': (8, 12),
    'model.tokenizer.encoder.image_size': (8, 12),
    'model.tokenizer.decoder.image_size': (8, 12),
    'model.tokenizer.quantizer.codebook_size': 24,
    'model.conditioner.num_classes': 4,
    'model.backbone.dim': 32,
}


@pytest.fixture(scope='module')
def g():
    return arrays('vitvq_gpt_tiny')


@pytest.fixture(scope='module')
def model():
    model, state = init_model('tiny/vit_vqgan_ar_32', cfg_options=SIZES), weights('vitvq_gpt_tiny')
    return load_generator(model, state)


@torch.no_grad()
def test_logits_and_loss(g, model):
    sub, label = g['indices'][..., None], g['labels']
    near(model(sub, label)[0], g['logits'])
    assert_close(model.loss(sub, label)['sub_token_0'], g['loss'], atol=1e-4, rtol=0)


def test_a_cache_keeps_the_row_before(g, model):
    """The official cache forgets it, and gives other tokens."""
    tokens = model.generate(g['labels'], dict(temperature=0.0)).flatten(1)
    assert tokens.equal(g['greedy']) and not tokens.equal(g['greedy_of_official_cache'])
    several = model.generate(g['labels'], dict(temperature=0.0, decoding='jacobi', window=3))
    assert several.flatten(1).equal(g['greedy'])
