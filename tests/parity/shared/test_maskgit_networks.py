"""MaskGIT's tokenizer: encoder and decoder against the JAX modules, on the port's names."""

import torch
from official_names import maskgit
from official_networks import arrays, load, near, weights

from openmagvit2.models.decoders import CnnDecoder
from openmagvit2.models.encoders import CnnEncoder

COMMON = dict(channels=32, channel_multipliers=(2, 1), num_res_blocks=1, shortcut='branch')


@torch.no_grad()
def test_official_weights():
    state, case = weights('maskgit_tiny', None), arrays('maskgit_tiny')
    encoder = CnnEncoder(out_channels=16, downsample='avg_pool', **COMMON)
    decoder = CnnDecoder(in_channels=16, upsample='nearest_conv', adaptive_norm=False, **COMMON)
    near(load(encoder, state, 'encoder.', maskgit(2))(case['x']), case['z'])
    near(load(decoder, state, 'decoder.', maskgit(2))(case['codes']), case['recon'])
