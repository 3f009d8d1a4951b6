"""Infinity's tokenizer: encoder and decoder against the official modules, without attention."""

import re

import torch
from official_networks import arrays, load, near, weights

from openmagvit2.models.decoders import CnnDecoder
from openmagvit2.models.encoders import CnnEncoder

COMMON = dict(channels=32, middle='plain', bias=True)


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
    encoder = CnnEncoder(
        out_channels=8,
        channel_multipliers=(2, 1),
        num_res_blocks=1,
        downsample='padded_conv',
        out_kernel=3,
        **COMMON,
    )
    decoder = CnnDecoder(
        in_channels=8,
        channel_multipliers=(1, 1),
        num_res_blocks=2,
        upsample='nearest_conv',
        adaptive_norm=False,
        **COMMON,
    )
    near(load(encoder, deeper, 'encoder.', down)(case['x']), case['z'])
    near(load(decoder, deeper, 'decoder.', middle)(case['codes']).clamp(-1, 1), case['recon'])
