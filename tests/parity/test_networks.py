"""Published numbers of other systems' encoders and decoders: official modules, with weights from
the formula under the official names.
"""

import torch
from appendix import check, fill, sine
from official_names import fill_official, maskgit, taming, titok
from torch import nn

from openmagvit2.models.decoders import CnnDecoder, LatentVitDecoder
from openmagvit2.models.encoders import CnnEncoder, LatentVitEncoder
from openmagvit2.models.layers.attention import AttnBlock
from openmagvit2.models.quantizers import FSQ, VQ

TAMING = dict(channels=32, middle='attention', bias=True)
DOWN = dict(downsample='padded_conv', out_kernel=3, **TAMING)
UP = dict(upsample='nearest_conv', adaptive_norm=False, **TAMING)


@torch.no_grad()
def test_attention_block():
    out = fill(AttnBlock(32))(sine(1, 32, 3, 4, step=0.37, shift=0.11))
    check(
        out,
        0.019617,
        0.838416,
        [-0.337549, 0.0128, 0.299956, 0.485531],
        [1.125803, 0.7927, 0.421807, 0.063369],
    )


@torch.no_grad()
def test_vqgan():
    common = dict(channel_multipliers=(1, 2), attention_levels=(1,))
    encoder = CnnEncoder(out_channels=8, num_res_blocks=1, **common, **DOWN).eval()
    decoder = CnnDecoder(in_channels=8, num_res_blocks=2, **common, **UP).eval()
    assert fill_official(('', encoder, taming(2))) == 273_000
    assert fill_official(('', decoder, [])) == 437_891
    check(
        encoder(sine(1, 3, 8, 12, step=0.013, shift=0.11)),
        0.139276,
        1.965927,
        [1.12897, 1.617984, 1.789922, 1.771606],
        [5.615032, 4.258839, 2.377075, 1.032047],
    )
    check(
        decoder(sine(1, 8, 4, 6, step=0.37, shift=0.11)),
        0.33338,
        1.48759,
        [1.431039, 2.460867, 2.932634, 2.865382],
        [4.450877, 2.526565, 0.990793, 0.136052],
    )
    # The same networks as IBQ's.
    check(
        encoder(sine(2, 3, 16, 16, step=0.013)),
        0.06716,
        1.792637,
        [0.187789, 0.489411, 1.176888, 2.146368],
        [1.799143, 1.757904, 1.347307, 0.726473],
    )
    check(
        decoder(sine(2, 8, 8, 8, step=0.9, shift=0.2)),
        0.267372,
        1.711179,
        [0.25374, 1.037269, 2.845098, 5.129271],
    )


@torch.no_grad()
def test_showo():
    encoder = CnnEncoder(
        out_channels=6, channel_multipliers=(2, 1), num_res_blocks=(1, 2), **DOWN
    ).eval()
    decoder = CnnDecoder(
        in_channels=6, channel_multipliers=(1, 1), num_res_blocks=(2, 1), **UP
    ).eval()
    before, after = nn.Conv2d(6, 6, 1), nn.Conv2d(6, 6, 1)
    parameters = fill_official(('', encoder, taming(2)), ('quant_conv.', before, []))
    assert parameters == 187_536
    parameters = fill_official(('', decoder, []), ('post_quant_conv.', after, []))
    assert parameters == 109_389
    check(
        before(encoder(sine(2, 3, 16, 16, step=0.013))),
        0.024068,
        3.468304,
        [-0.071114, 0.255434, 0.302088, 0.290243],
        [-0.493941, -0.417837, -0.305149, -0.129532],
    )
    check(
        decoder(after(sine(2, 6, 8, 8, step=0.9, shift=0.2).sign())),
        0.149022,
        0.963861,
        [0.088166, 0.102171, 0.100613, 0.091099],
        [6.360445, 5.136569, 3.031991, -0.003526],
    )


@torch.no_grad()
def test_cosmos():
    common = dict(channel_multipliers=(1, 2, 1), patch_size=4, patch='haar')
    encoder = CnnEncoder(
        out_channels=32, num_res_blocks=1, num_downsamples=1, **common, **DOWN
    ).eval()
    decoder = CnnDecoder(in_channels=32, num_res_blocks=2, num_upsamples=1, **common, **UP).eval()
    before, after = nn.Conv2d(32, 3, 1), nn.Conv2d(3, 32, 1)
    parameters = fill_official(
        ('encoder.', encoder, taming(3)),
        ('decoder.', decoder, []),
        ('quant_conv.', before, []),
        ('post_quant_conv.', after, []),
    )
    assert parameters == 472_179
    z = before(encoder(sine(1, 3, 32, 32, step=0.013)))
    check(z, 0.354067, 1.390703, [-2.021518, -1.599899, -0.264929, 0.647935])
    out = FSQ(levels=(4, 5, 3)).eval()(z)
    expected = [36, 48, 42, 43, 43, 43, 23, 31, 43, 43, 47, 47, 47, 43, 27, 27]
    assert out.indices.flatten().tolist() == expected
    check(
        decoder(after(out.codes)),
        0.104769,
        7.54215,
        [0.259706, 3.302452, -0.174152, 0.71287],
        [0.250667, 0.263744, 0.324787, -0.69048],
    )


@torch.no_grad()
def test_maskgit():
    common = dict(channels=32, channel_multipliers=(2, 1), num_res_blocks=1, shortcut='branch')
    encoder = CnnEncoder(out_channels=16, downsample='avg_pool', **common).eval()
    decoder = CnnDecoder(
        in_channels=16, upsample='nearest_conv', adaptive_norm=False, **common
    ).eval()
    assert fill_official(('', encoder, maskgit(2))) == 108_464
    assert fill_official(('', decoder, maskgit(2))) == 112_451
    check(
        encoder((sine(2, 3, 8, 8, step=0.013) + 1) / 2),
        -0.002978,
        0.5486,
        [-0.697413, -0.614865, -0.089269, 0.099935],
        [0.010567, 0.617229, 1.37021, 0.447667],
    )
    check(
        decoder(sine(2, 16, 4, 4, step=0.9, shift=0.2)),
        0.106303,
        2.140883,
        [0.110253, 0.135427, 0.087355, 0.009113],
        [1.850947, 2.964925, 2.821805, 1.332042],
    )


def titok_pair(legacy):
    """TiTok's parts and quantizer by the rule; in the two-stage case with ten proxy codes."""
    common = dict(image_size=8, patch_size=4, num_tokens=3, dim=16, num_layers=1, num_heads=2)
    encoder = LatentVitEncoder(out_channels=4, legacy_reshape=legacy, **common)
    small = dict(type='CnnDecoder', channels=32, channel_multipliers=(1,), num_res_blocks=1)
    proxy = dict(proxy=(10, 4), proxy_decoder=small) if legacy else {}
    decoder = LatentVitDecoder(in_channels=4, **common, **proxy)
    quantizer = VQ(codebook_size=12, code_dim=4, l2_norm=True, restart_after=None)
    down, up = titok(1, pixels=not legacy)
    # The latent tokens stand at the top of official files.
    names = [(a, b if a == 'latent_tokens' else f'encoder.{b}') for a, b in down]
    parameters = fill_official(
        ('', encoder, names),
        ('decoder.', decoder, up),
        ('quantize.', quantizer, []),
        leave=('head.table', 'head.decoder.'),
    )
    return encoder.eval(), decoder.eval(), quantizer.eval(), parameters


@torch.no_grad()
def test_titok_two_stages():
    encoder, decoder, quantizer, parameters = titok_pair(legacy=True)
    assert parameters == 8_894
    z = encoder(0.5 + 0.5 * sine(1, 3, 8, 8, step=0.37))
    check(
        z,
        -0.101864,
        0.679025,
        [-0.249873, -0.0816739, 1.10831, -0.460072],
        [-0.856996, 0.337803, 0.447847, -1.33361],
    )
    out = quantizer(z)
    assert out.indices.flatten().tolist() == [1, 3, 0]
    check(
        decoder.head.ffn(decoder.features(out.codes)),
        -0.014670,
        0.489016,
        [-0.303407, -0.407825, -0.623592, 0.817976],
        [-0.407671, -0.38675, -0.724404, 0.775711],
    )


@torch.no_grad()
def test_titok_single_stage():
    encoder, decoder, quantizer, parameters = titok_pair(legacy=False)
    assert parameters == 8_920
    z = encoder(0.5 + 0.5 * sine(1, 3, 8, 8, step=0.37))
    check(
        z,
        -0.245144,
        1.619327,
        [-0.677334, 1.49618, 1.82392, -2.49921],
        [-1.26107, 2.21436, 0.152056, -2.26497],
    )
    out = quantizer(z)
    assert out.indices.flatten().tolist() == [1, 7, 0]
    check(
        decoder(out.codes),
        0.086765,
        2.194559,
        [1.17431, -0.382885, -0.302004, 3.91946],
        [-1.18519, 0.885662, -1.96622, 0.622429],
    )
