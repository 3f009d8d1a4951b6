"""Show-o's tokenizer: encoder and decoder against the official modules."""

import torch
from official_names import taming
from official_networks import arrays, load, near, project, weights

from openmagvit2.models.decoders import CnnDecoder
from openmagvit2.models.encoders import CnnEncoder


@torch.no_grad()
def test_official_weights():
    state, case = weights('showo_tiny'), arrays('showo_tiny')
    # The projections stand inside of the official networks, and around our quantizer.
    for part, name in (('encoder', 'quant_conv'), ('decoder', 'post_quant_conv')):
        for kind in ('weight', 'bias'):
            state[f'{name}.{kind}'] = state.pop(f'{part}.{name}.{kind}')
    encoder = CnnEncoder(
        out_channels=6,
        channels=32,
        channel_multipliers=(2, 1),
        num_res_blocks=(1, 2),
        downsample='padded_conv',
        middle='attention',
        bias=True,
        out_kernel=3,
    )
    decoder = CnnDecoder(
        in_channels=6,
        channels=32,
        channel_multipliers=(1, 1),
        num_res_blocks=(2, 1),
        upsample='nearest_conv',
        middle='attention',
        bias=True,
        adaptive_norm=False,
    )
    z = load(encoder, state, 'encoder.', taming(2))(case['x'])
    near(project(state, 'quant_conv', z), case['z'])
    entry = project(state, 'post_quant_conv', case['codes'])
    near(load(decoder, state, 'decoder.', [])(entry), case['recon'])
