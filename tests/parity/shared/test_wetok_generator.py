"""WeTok's transformer over four sub-tokens: official weights through the generator."""

import pytest
import torch
from appendix import GOLDENS, golden
from torch.testing import assert_close

from openmagvit2.registry import MODELS

OFFICIAL = {
    'backbone.blocks.': 'spatial_blocks.',
    'head.blocks.': 'factorized_blocks.',
    'head.norm.': 'norm.',
    'head.classifiers.': 'head.',
    'class_embedding.': 'class_emb.embedding_table.',
}


def official(name: str) -> str:
    if name.startswith('head.embeddings.'):
        return name.removeprefix('head.embeddings.').replace('.', '_emb.', 1)
    ours = next(prefix for prefix in OFFICIAL if name.startswith(prefix))
    return OFFICIAL[ours] + name.removeprefix(ours)


@pytest.fixture(scope='module')
def model():
    part = dict(channels=32, channel_multipliers=(1, 1), num_res_blocks=1)
    model = MODELS.build(
        dict(
            type='AutoregressiveGenerator',
            tokenizer=dict(
                type='VisualTokenizer',
                encoder=dict(type='CnnEncoder', **part),
                quantizer=dict(type='LFQ', num_bits=12),
                decoder=dict(type='CnnDecoder', **part),
            ),
            factorization=dict(type='TokenFactorization', bits=[3, 3, 4, 2]),
            backbone=dict(type='Llama', dim=64, num_layers=2, num_heads=4),
            head=dict(type='NextSubTokenHead', num_layers=2),
            conditioner=dict(type='ClassLabel', num_classes=4),
            image_size=6,
        )
    ).eval()
    file = GOLDENS / 'systems' / 'wetok_ar_tiny.ckpt'
    weights = torch.load(file, weights_only=True)['state_dict']
    own = {name for name in model.state_dict() if not name.startswith('tokenizer.')}
    state = {name: weights.pop(f'transformer.{official(name)}') for name in own}
    assert not weights
    model.load_state_dict(state, strict=False)
    return model


def test_logits_and_losses(model):
    g = golden('systems/wetok_ar_tiny')
    logits = model(g['sub_indices'], g['labels'])
    losses = model.loss(g['sub_indices'], g['labels'])
    for i in range(4):
        assert_close(logits[i], g[f'logits_{i}'], atol=1e-4, rtol=0)
        assert_close(losses[f'sub_token_{i}'], g[f'loss_{i}'], atol=1e-4, rtol=0)


def test_greedy_and_guided_tokens(model):
    g = golden('systems/wetok_ar_tiny')
    plain = model.generate(g['sample_labels'], dict(temperature=0))
    assert plain.shape == (2, 3, 3) and model.split(plain).equal(g['greedy'])
    guided = model.generate(g['sample_labels'], dict(temperature=0, guidance=g['cfg'].tolist()))
    assert model.split(guided).equal(g['greedy_guided'])
