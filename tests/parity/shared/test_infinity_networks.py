"""Infinity's tokenizer: encoder and decoder against the official modules, without attention."""

import re

import torch
from official_networks import arrays, load, near, small_cnns, weights


@torch.no_grad()
def test_official_weights():
    # Every convolution and norm lies one level deeper officially.
    deeper = {
        re.sub(r'\.(conv|norm)\.(\w+)$', r'.\2', k): v
        for k, v in weights('infinity_vae_tiny', 'vae').items()
    }
    middle = [(f'mid_block.{i}.', f'mid.block_{i + 1}.') for i in range(2)]
    down = [*middle, ('down.0.downsample.', 'down.0.downsample.conv.')]
    case = arrays('infinity_vae_tiny')
    encoder, decoder = small_cnns(8, middle='plain')
    near(load(encoder, deeper, 'encoder.', down)(case['x']), case['z'])
    near(load(decoder, deeper, 'decoder.', middle)(case['codes']).clamp(-1, 1), case['recon'])
