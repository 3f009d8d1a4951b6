"""TiTok: encoder, decoder and the proxy's parts against the official modules."""

import pytest
import torch
from official_names import maskgit, titok
from official_networks import arrays, load, near, weights

from openmagvit2.models.decoders import LatentVitDecoder
from openmagvit2.models.encoders import LatentVitEncoder

PROXY = [
    ('head.table', 'pixel_quantize.embedding.weight'),
    *((f'head.decoder.{a}', f'pixel_decoder.{b}') for a, b in [('', ''), *maskgit(3)]),
]
TWO_STAGES = dict(
    proxy=(40, 8),
    proxy_decoder=dict(
        type='CnnDecoder',
        channels=32,
        channel_multipliers=(1, 2, 1),
        num_res_blocks=1,
        upsample='nearest_conv',
        adaptive_norm=False,
        shortcut='branch',
    ),
)
SHAPE = dict(image_size=16, patch_size=4)
# Encoder, decoder and the second's additional arguments: width, layers, heads.
CASES = {
    'titok_tiny': ((6, 48, 2, 4), (6, 32, 1, 2), 6, True, TWO_STAGES),
    'titok_single_tiny': ((8, 32, 1, 2), (8, 48, 2, 4), 10, False, {}),
}


def vit(width, layers, heads, tokens):
    return dict(dim=width, num_layers=layers, num_heads=heads, num_tokens=tokens, **SHAPE)


@torch.no_grad()
@pytest.mark.parametrize('name', CASES)
def test_official_weights(name):
    first, second, tokens, legacy, more = CASES[name]
    state, case = weights(name, None), arrays(name)
    state['encoder.latent_tokens'] = state.pop('latent_tokens')
    state['encoder.conv_out.weight'] = state['encoder.conv_out.weight'].squeeze(-1).squeeze(-1)
    down, up = titok(2, pixels=not more)
    encoder = LatentVitEncoder(
        out_channels=first[0], legacy_reshape=legacy, **vit(*first[1:], tokens)
    )
    z = load(encoder, state, 'encoder.', down)(case['x'])
    # Official latents have an axis of length 1 before that of the tokens.
    near(z, case['z'].squeeze(2))
    assert encoder.grid((16, 16)) == z.shape[2:]

    decoder = LatentVitDecoder(in_channels=second[0], **vit(*second[1:], tokens), **more)
    parts = {k: v for k, v in state.items() if k.startswith(('decoder.', 'pixel_'))}
    own = {k.removeprefix('decoder.'): v for k, v in parts.items()}
    load(decoder, own, '', up + PROXY)
    codes = case['codes'].squeeze(2)
    near(decoder(codes, size=(16, 16)), case['recon'])
    if more:
        near(decoder.head.ffn(decoder.features(codes)), case['proxy_logits'])
