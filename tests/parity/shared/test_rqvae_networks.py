"""RQ-VAE: encoder and decoder against the official modules."""

import torch
from official_names import taming
from official_networks import arrays, load, near, project, small_cnns, weights


@torch.no_grad()
def test_official_weights():
    state, case = weights('rqvae_tiny'), arrays('rqvae_tiny')
    encoder, decoder = small_cnns(20, attention_levels=(1,), middle='attention')
    z = load(encoder, state, 'encoder.', taming(2))(case['x'])
    near(project(state, 'quant_conv', z), case['z'])
    load(decoder, state, 'decoder.', [])
    sums = case['partial_sums'].movedim(-1, 2)
    near(decoder(project(state, 'post_quant_conv', sums[-1])), case['recon'])
    near(decoder(project(state, 'post_quant_conv', sums[1])), case['recon_two_depths'])
