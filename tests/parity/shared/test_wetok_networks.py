"""WeTok: encoder and decoder against the official modules, also the decoder that reads noise."""

import pytest
import torch
from official_networks import arrays, load, near, weights

from openmagvit2.models.decoders import CnnDecoder
from openmagvit2.models.encoders import CnnEncoder

COMMON = dict(channels=32, channel_multipliers=(2, 1), num_res_blocks=1)


@torch.no_grad()
@pytest.mark.parametrize('name', ['wetok_tiny', 'wetok_gan_tiny'])
def test_official_weights(name):
    state, case = weights(name), arrays(name)
    encoder = load(CnnEncoder(out_channels=12, **COMMON), state, 'encoder.', [])
    noise = case.get('noise')
    decoder = CnnDecoder(in_channels=12, noise=noise is not None, **COMMON)
    near(encoder(case['x']), case['z'])
    image = load(decoder, state, 'decoder.', [])(case['codes'], noise=noise)
    near(image, case['recon'])
