"""IBQ's tokenizer: encoder and decoder against the official modules."""

import torch
from official_names import taming
from official_networks import arrays, load, near, project, weights

from openmagvit2.models.decoders import CnnDecoder
from openmagvit2.models.encoders import CnnEncoder

COMMON = dict(
    channels=32, channel_multipliers=(1, 1), attention_levels=(1,), middle='attention', bias=True
)


@torch.no_grad()
def test_official_weights():
    state, case = weights('ibq_tiny'), arrays('ibq_tiny')
    encoder = CnnEncoder(
        out_channels=8, num_res_blocks=1, downsample='padded_conv', out_kernel=3, **COMMON
    )
    decoder = CnnDecoder(
        in_channels=8, num_res_blocks=2, upsample='nearest_conv', adaptive_norm=False, **COMMON
    )
    z = load(encoder, state, 'encoder.', taming(2))(case['x'])
    near(project(state, 'quant_conv', z), case['z'])
    entry = project(state, 'post_quant_conv', case['codes'])
    near(load(decoder, state, 'decoder.', [])(entry), case['recon'])
