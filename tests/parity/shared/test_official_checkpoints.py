"""Checkpoints of the official trainer through the converter."""

from pathlib import Path

import pytest
import torch
from appendix import GOLDENS, golden
from official_networks import same
from torch.testing import assert_close

from openmagvit2.apis import init_model
from openmagvit2.checkpoint import read_checkpoint, to_official, to_ours, write_checkpoint

TINY = Path(__file__).parents[3] / 'configs' / 'tiny'


@pytest.mark.parametrize('weights', ['raw', 'ema', 'both'])
def test_tokenizer(tmp_path, weights):
    g = golden('official_tokenizer_tiny')
    config = TINY / 'lfq_32_official.py'
    state = read_checkpoint(GOLDENS / 'official_tokenizer_tiny.ckpt')['state_dict']
    ours, _ = to_ours(state, init_model(config), weights)
    write_checkpoint(ours, tmp_path / 'out.pth')
    model = init_model(config, tmp_path / 'out.pth')
    kind = 'raw' if weights == 'raw' else 'ema'
    with torch.no_grad():
        out = model.encode(g['x'])
        assert_close(model.encoder(g['x']), g[f'z_{kind}'], atol=1e-4, rtol=0)
        assert out.indices.flatten().equal(g[f'indices_{kind}'])
        assert_close(model.reconstruct(g['x']), g[f'recon_{kind}'], atol=1e-4, rtol=0)


def test_tokenizer_back():
    golden('official_tokenizer_tiny')
    state = read_checkpoint(GOLDENS / 'official_tokenizer_tiny.ckpt')['state_dict']
    model = init_model(TINY / 'lfq_32_official.py')
    back, _ = to_official(to_ours(state, model)[0], model)
    kept = {k: x for k, x in state.items() if not k.startswith('loss.perceptual_loss.')}
    same(back['state_dict'], kept)


def test_generator(tmp_path):
    g = golden('ar_tiny')
    config = TINY / 'ar_32_official.py'
    ours, _ = to_ours(read_checkpoint(GOLDENS / 'ar_tiny.ckpt')['state_dict'], init_model(config))
    write_checkpoint(ours, tmp_path / 'out.pth')
    model = init_model(config, tmp_path / 'out.pth')
    sub = torch.stack([g['sub_tokens_0'], g['sub_tokens_1']], -1)
    labels = g['label'][:, 0]
    with torch.no_grad():
        for i, logits in enumerate(model(sub, labels)):
            assert_close(logits, g[f'logits_{i}'], atol=1e-4, rtol=0)
        assert_close(sum(model.loss(sub, labels).values()).double(), g['loss'], atol=1e-4, rtol=0)
