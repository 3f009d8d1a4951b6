"""Options of the CNN encoder and decoder: parameter counts of published networks, and mistakes."""

import pytest
import torch

from openmagvit2.errors import UserError
from openmagvit2.models.decoders import CnnDecoder
from openmagvit2.models.encoders import CnnEncoder

TAMING = dict(middle='attention', bias=True)
DOWN = dict(downsample='padded_conv', out_kernel=3)
UP = dict(upsample='nearest_conv', adaptive_norm=False)


def taming(width, multipliers, attention, channels=128, **options):
    """Arguments of encoder and decoder of taming's family, whose decoder has a block more."""
    common = TAMING | dict(
        channels=channels, channel_multipliers=multipliers, attention_levels=attention
    )
    common |= options
    return (
        dict(out_channels=width, num_res_blocks=2, **DOWN, **common),
        dict(in_channels=width, num_res_blocks=3, **UP, **common),
    )


def showo():
    common = dict(channels=128, **TAMING)
    return (
        dict(
            out_channels=13,
            channel_multipliers=(1, 2, 2, 4, 4),
            num_res_blocks=(4, 3, 4, 3, 4),
            **DOWN,
            **common,
        ),
        dict(
            in_channels=13,
            channel_multipliers=(1, 1, 2, 2, 4),
            num_res_blocks=(4, 4, 3, 4, 3),
            **UP,
            **common,
        ),
    )


def ibq():
    encoder, decoder = taming(256, (1, 1, 2, 2, 4), (4,))
    return encoder | dict(num_res_blocks=4), decoder | dict(num_res_blocks=5)


def cosmos(samplers):
    encoder, decoder = taming(256, (2, 4, 4), (), patch_size=4, patch='haar')
    return encoder | dict(num_downsamples=samplers), decoder | dict(num_upsamples=samplers)


def maskgit():
    common = dict(channels=128, num_res_blocks=2, shortcut='branch')
    return (
        dict(out_channels=256, downsample='avg_pool', **common),
        dict(in_channels=256, **UP, **common),
    )


def wetok(width, multipliers, **decoder):
    common = dict(channels=256, channel_multipliers=multipliers)
    return dict(out_channels=width, **common), dict(in_channels=width, **common, **decoder)


F16, F8, F4 = (1, 1, 2, 2, 4), (1, 2, 2, 4), (1, 2, 4)
# Counts of the official modules without projections around the quantizer and tables: Show-o's
# encoder and decoder hold theirs, 13 * 13 + 13 each.
NETWORKS = {
    'vqgan_f16': (taming(256, F16, (4,)), 29_298_176, 42_449_795),
    'sd_f16': (taming(8, F16, (4,)), 28_155_144, 41_307_011),
    'sd_f8': (taming(4, F8, (3,)), 27_397_764, 40_253_955),
    'sd_f4': (taming(3, F4, ()), 22_337_411, 32_960_771),
    'sd_f4_noattn': (taming(3, F4, (), middle='plain'), 21_285_763, 31_909_123),
    'llamagen_8': (taming(256, F8, (3,)), 28_559_232, 41_415_171),
    'showo': (showo(), 55_439_171 - 182, 39_947_833 - 182),
    'cosmos_di16': (cosmos(2), 34_619_520, 49_101_104),
    'cosmos_di8': (cosmos(1), 32_259_712, 46_741_296),
    'ibq': (ibq(), 46_752_256, 59_903_875),
    'maskgit': (maskgit(), 23_775_104, 30_478_339),
    'rqvae': (taming(256, (1, 1, 2, 2, 4, 4), (5,)), 41_101_312, 58_974_595),
    'var': (taming(32, F16, (4,), channels=160, qkv='joint'), 44_107_872, 64_653_923),
    'wetok_24': (wetok(64, F8), 193_655_360, 254_750_467),
    'wetok_192': (wetok(32, F16), 198_935_328, 261_358_851),
    'wetok_768': (wetok(32, (1, 1, 2, 2, 4, 8), noise=True), 720_160_544, 953_518_339),
}


def count(cls, arguments):
    with torch.device('meta'):
        return sum(p.numel() for p in cls(**arguments).parameters())


@pytest.mark.parametrize('name', NETWORKS)
def test_parameters_of_published_networks(name):
    (encoder, decoder), encoder_parameters, decoder_parameters = NETWORKS[name]
    assert count(CnnEncoder, encoder) == encoder_parameters
    assert count(CnnDecoder, decoder) == decoder_parameters


def test_state_names():
    """Official names with attention in the middle; the paper's otherwise."""
    small = dict(channels=32, channel_multipliers=(1, 1), num_res_blocks=1, attention_levels=(1,))
    names = set(CnnEncoder(out_channels=4, middle='attention', **small).state_dict())
    assert {'mid.block_1.conv1.weight', 'mid.attn_1.q.weight', 'mid.block_2.norm2.bias'} <= names
    assert {'down.1.attn.0.proj_out.weight', 'down.0.downsample.weight'} <= names
    names = set(CnnDecoder(in_channels=4, middle='plain', qkv='joint', **small).state_dict())
    assert {'mid_block.0.conv1.weight', 'mid_block.1.conv2.weight'} <= names
    assert {'up.1.attn.0.qkv.weight', 'up.1.upsample.conv1.weight'} <= names
    names = set(CnnEncoder(out_channels=4, channels=32).state_dict())
    assert not any('attn' in name or name.startswith('mid.') for name in names)
    assert 'mid_block.3.conv2.weight' in names


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(num_res_blocks=(1, 2)), 'num_res_blocks` has 2 numbers for 3 levels'),
        (dict(attention_levels=(3,)), 'no level 3; levels are 0 .full resolution. to 2'),
        (dict(num_downsamples=4), 'num_downsamples=4` must be between 0 and .* 3'),
        (dict(middle='attn'), "middle must be one of blocks, attention, plain, got 'attn'"),
        (dict(shortcut='output'), "shortcut must be one of input, branch, got 'output'"),
        (dict(patch='wavelet'), "patch must be one of pixels, haar, got 'wavelet'"),
        (dict(patch='haar', patch_size=3), 'power of two for the Haar transform, got 3'),
        (dict(qkv='fused', attention_levels=(0,)), "qkv must be one of .*'fused'"),
        (dict(downsample='max_pool'), "encoder.downsample must be one of .*'max_pool'"),
        (dict(channels=40), 'multiples of 32 for GroupNorm.32., got 40'),
    ],
)
def test_mistakes_are_named(options, message):
    arguments = dict(out_channels=4, channels=32, channel_multipliers=(1, 1, 1)) | options
    with pytest.raises(UserError, match=message):
        CnnEncoder(**arguments)


def test_dropout_acts_in_training_alone():
    torch.manual_seed(0)
    small = dict(channels=32, channel_multipliers=(1, 1), num_res_blocks=1)
    encoder = CnnEncoder(out_channels=4, dropout=0.5, **small)
    image = torch.randn(1, 3, 8, 8)
    assert not encoder(image).equal(encoder(image))
    encoder.eval()
    plain = CnnEncoder(out_channels=4, **small).eval()
    plain.load_state_dict(encoder.state_dict())
    assert encoder(image).equal(encoder(image)) and encoder(image).equal(plain(image))


def test_noise_is_drawn_in_training_and_fixed_in_evaluation():
    torch.manual_seed(0)
    decoder = CnnDecoder(
        in_channels=4, channels=32, channel_multipliers=(1, 1), num_res_blocks=1, noise=True
    )
    codes = torch.randn(2, 4, 3, 3)
    assert decoder.takes_noise and not decoder(codes).equal(decoder(codes))
    decoder.eval()
    both = decoder(codes)
    assert both.equal(decoder(codes)), 'the same codes give the same image'
    alone = torch.cat([decoder(row[None]) for row in codes])
    torch.testing.assert_close(both, alone, atol=1e-5, rtol=0)
    given = torch.randn(2, 4, 3, 3)
    assert not decoder(codes, noise=given).allclose(both, atol=1e-3)
