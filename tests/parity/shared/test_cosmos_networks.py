"""Cosmos DI: patches, encoder and decoder against the official modules."""

import pytest
import torch
from official_names import taming
from official_networks import arrays, load, near, project, weights

from openmagvit2.models.decoders import CnnDecoder
from openmagvit2.models.encoders import CnnEncoder
from openmagvit2.models.layers.patches import Patches, Unpatches

COMMON = dict(
    channels=32, channel_multipliers=(1, 2, 1), patch_size=4, patch='haar', middle='attention'
)


@pytest.mark.parametrize('size', [2, 4])
@pytest.mark.parametrize(('kind', 'name'), [('haar', 'haar'), ('pixels', 'rearrange')])
def test_patches(kind, name, size):
    case = arrays('cosmos_patchers')
    patches = Patches(size, kind)(case['x'])
    torch.testing.assert_close(patches, case[f'{name}_{size}'], atol=1e-6, rtol=0)
    torch.testing.assert_close(Unpatches(size, kind)(patches), case['x'], atol=1e-6, rtol=0)


@torch.no_grad()
def test_official_weights():
    state, case = weights('cosmos_tiny'), arrays('cosmos_tiny')
    encoder = CnnEncoder(
        out_channels=32,
        num_res_blocks=1,
        num_downsamples=1,
        downsample='padded_conv',
        bias=True,
        out_kernel=3,
        **COMMON,
    )
    decoder = CnnDecoder(
        in_channels=32,
        num_res_blocks=2,
        num_upsamples=1,
        upsample='nearest_conv',
        bias=True,
        adaptive_norm=False,
        **COMMON,
    )
    assert encoder.stride == (8, 8) and decoder.upscale == 8
    near(encoder.patches(case['x']), case['patches'])
    z = load(encoder, state, 'encoder.', taming(3))(case['x'])
    near(project(state, 'quant_conv', z), case['z'])
    entry = project(state, 'post_quant_conv', case['codes'])
    near(load(decoder, state, 'decoder.', [])(entry), case['recon'])
