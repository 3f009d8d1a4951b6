"""VAR's tokenizer: encoder and decoder against the official modules, with joint projections."""

import torch
from official_names import taming
from official_networks import arrays, load, near, project, small_cnns, weights


@torch.no_grad()
def test_official_weights():
    state, case = weights('var_vae_tiny', None), arrays('var_vae_tiny')
    encoder, decoder = small_cnns(8, attention_levels=(1,), middle='attention', qkv='joint')
    z = load(encoder, state, 'encoder.', taming(2))(case['x'])
    near(project(state, 'quant_conv', z), case['z'])
    load(decoder, state, 'decoder.', [])
    for codes, image in zip(case['codes_by_scale'], case['recon_by_scale'], strict=True):
        # The official method clamps.
        near(decoder(project(state, 'post_quant_conv', codes)).clamp(-1, 1), image)
