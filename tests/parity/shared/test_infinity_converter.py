"""Infinity's tokenizer through the converter against the official code."""

import pytest
import torch
from appendix import GOLDENS, golden
from official_networks import same
from torch.testing import assert_close

from openmagvit2.apis import init_model
from openmagvit2.checkpoint import read_checkpoint, to_official, to_ours
from openmagvit2.checkpoint.containers import packed
from openmagvit2.checkpoint.converters import choose
from openmagvit2.checkpoint.converters.infinity import Infinity

FILE = GOLDENS / 'systems' / 'infinity_vae_tiny.ckpt'
# Constructor arguments of the golden.
OPTIONS = {
    'encoder.channel_multipliers': (2, 1),
    'decoder.channel_multipliers': (1, 1),
    'quantizer.quantizer.num_bits': 8,
    'quantizer.quantizer.entropy_groups': 8,
    'training.adversarial.discriminator': None,
}


@pytest.fixture(scope='module')
def model():
    options = {f'model.{key}': value for key, value in OPTIONS.items()}
    return init_model('tiny/infinity_32', cfg_options=options)


@pytest.mark.parametrize('short', [False, True])
@torch.no_grad()
def test_numbers_and_back(model, short):
    state = read_checkpoint(FILE)['state_dict']
    names = {name: name for name in state}
    if short:
        # Some files leave the inner names out.
        names = {
            name: name.replace('.conv.weight', '.weight')
            .replace('.conv.bias', '.bias')
            .replace('.norm.', '.')
            for name in state
        }
    found = {names[name]: x for name, x in state.items()}
    assert type(choose(model, found)) is Infinity
    ours = to_ours(found, model)[0]
    model.load_state_dict(ours['state_dict'], strict=False)
    g = golden('systems/infinity_vae_tiny')
    out = model.encode(g['x'])
    bits = (g['bits'].long() << torch.arange(8)).sum(-1)
    assert out.indices.equal(bits)
    assert_close(out.codes, g['codes'], atol=1e-4, rtol=0)
    images = model.decode_indices(out.indices).clamp(-1, 1)
    assert_close(images, g['recon'], atol=1e-4, rtol=0)
    back = packed(to_official(ours, model)[0]['state_dict'], Infinity())
    assert set(back) == {'vae'}
    same(back['vae'], state)
