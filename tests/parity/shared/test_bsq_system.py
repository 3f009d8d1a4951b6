"""BSQ-ViT through its converter: raw and averaged weights, codes, images, the file back."""

import pytest
import torch
from appendix import GOLDENS
from official_networks import arrays, near, same
from torch.testing import assert_close

from openmagvit2.apis import init_model
from openmagvit2.checkpoint import is_ours, read_checkpoint, to_official, to_ours
from openmagvit2.checkpoint.containers import packed
from openmagvit2.checkpoint.converters.bsq import Bsq

FILE = GOLDENS / 'systems' / 'bsqvit_tiny.ckpt'
VIT = dict(image_size=16, patch_size=4, dim=48, num_layers=2, num_heads=4)
OPTIONS = {f'model.{part}.{key}': v for part in ('encoder', 'decoder') for key, v in VIT.items()}


@pytest.fixture(scope='module')
def model():
    return init_model(
        'tiny/bsq_32',
        cfg_options=OPTIONS | {'model.decoder.pixel_hidden': 80, 'model.quantizer.num_bits': 12},
    )


@pytest.fixture(scope='module')
def file():
    return read_checkpoint(FILE)


@torch.no_grad()
def test_codes_and_images_of_raw_weights_and_averages(model, file):
    assert not is_ours(file, model)
    ours, g = to_ours(file['state_dict'], model)[0], arrays('bsqvit_tiny')
    assert set(ours) == {'state_dict', 'ema_state_dict'}
    for key, prefix in (('state_dict', ''), ('ema_state_dict', 'ema_')):
        missing, unexpected = model.load_state_dict(ours[key], strict=False)
        assert not unexpected and all(name.startswith('discriminator.') for name in missing)
        z = model.encoder(g['x'])
        near(torch.nn.functional.normalize(z, dim=1), g[f'{prefix}z'])
        out = model.encode(g['x'])
        assert out.indices.equal(g[f'{prefix}indices'])
        assert_close(out.codes, g[f'{prefix}codes'])
        near(model.decode_indices(out.indices), g[f'{prefix}recon'])
        model.decoder.bound = None
        near(model.decode(out.codes), g[f'{prefix}recon_unclamped'])
        model.decoder.bound = 1.0


def test_the_file_comes_back(model, file):
    ours = to_ours(file['state_dict'], model)[0]
    back = packed(to_official(ours, model)[0]['state_dict'], Bsq())
    official = torch.load(FILE, weights_only=True)
    assert set(back) == {'state_dict', 'ema_state_dict'}
    for key, state in back.items():
        same(state, official[key])
    raw = packed(to_official(ours, model, 'raw')[0]['state_dict'], Bsq())
    assert set(raw) == {'state_dict'}
