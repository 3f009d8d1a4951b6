"""MaskGIT's tokenizer: encoder and decoder against the JAX modules, on the port's names."""

import torch
from official_networks import arrays, load, near, weights

from openmagvit2.models.decoders import CnnDecoder
from openmagvit2.models.encoders import CnnEncoder

COMMON = dict(channels=32, channel_multipliers=(2, 1), num_res_blocks=1, shortcut='branch')
MIDDLE = [('mid_block.', 'mid.')]


@torch.no_grad()
def test_official_weights():
    state, case = weights('maskgit_tiny', None), arrays('maskgit_tiny')
    encoder = CnnEncoder(out_channels=16, downsample='avg_pool', **COMMON)
    decoder = CnnDecoder(in_channels=16, upsample='nearest_conv', adaptive_norm=False, **COMMON)
    near(load(encoder, state, 'encoder.', MIDDLE)(case['x']), case['z'])
    up = [*MIDDLE, ('up.1.upsample.conv.', 'up.1.upsample_conv.')]
    near(load(decoder, state, 'decoder.', up)(case['codes']), case['recon'])
