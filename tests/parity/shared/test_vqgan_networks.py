"""VQGAN, SD-VQGAN and LlamaGen: encoder and decoder against the official modules."""

import pytest
import torch
from official_names import taming
from official_networks import arrays, load, near, project, small_cnns, weights

LLAMAGEN = [
    *((f'mid.{name}.', f'mid.{i}.') for i, name in enumerate(('block_1', 'attn_1', 'block_2'))),
    *((f'down.{i}.block.', f'conv_blocks.{i}.res.') for i in range(2)),
    *((f'down.{i}.attn.', f'conv_blocks.{i}.attn.') for i in range(2)),
    ('down.0.downsample.', 'conv_blocks.0.downsample.conv.'),
]
# LlamaGen's decoder lists its levels in the order of execution: 0 is the lowest resolution.
LLAMAGEN_UP = [
    *LLAMAGEN[:3],
    *((f'up.{1 - n}.block.', f'conv_blocks.{n}.res.') for n in range(2)),
    *((f'up.{1 - n}.attn.', f'conv_blocks.{n}.attn.') for n in range(2)),
    ('up.1.upsample.', 'conv_blocks.0.upsample.'),
]
CASES = {
    'vqgan_tiny': ('state_dict', 16, (1,), taming(2), []),
    'sd_vq_tiny': ('state_dict', 4, (), taming(2), []),
    'llamagen_vq_tiny': ('model', 16, (1,), LLAMAGEN, LLAMAGEN_UP),
}


@torch.no_grad()
@pytest.mark.parametrize('name', CASES)
def test_official_weights(name):
    key, channels, levels, down, up = CASES[name]
    state, case = weights(name, key), arrays(name)
    encoder, decoder = small_cnns(channels, attention_levels=levels, middle='attention')
    z = load(encoder, state, 'encoder.', down)(case['x'])
    near(z, case['z'])
    near(project(state, 'quant_conv', z), case['prequant'])
    near(load(decoder, state, 'decoder.', up)(case['codes']), case['recon'])
