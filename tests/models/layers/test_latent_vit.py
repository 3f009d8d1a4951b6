"""TiTok's encoder and decoder: parameter counts of published networks, pixel order, mistakes."""

import pytest
import torch

from openmagvit2.errors import UserError
from openmagvit2.models.decoders import LatentVitDecoder
from openmagvit2.models.decoders.latent_vit import PixelHead
from openmagvit2.models.encoders import LatentVitEncoder

SMALL, BASE, LARGE = (
    dict(dim=512, num_layers=8, num_heads=8),
    dict(dim=768, num_layers=12, num_heads=12),
    dict(dim=1024, num_layers=24, num_heads=16),
)
MASKGIT = dict(
    type='CnnDecoder',
    num_res_blocks=2,
    upsample='nearest_conv',
    adaptive_norm=False,
    shortcut='branch',
)
TINY = dict(image_size=16, patch_size=4, num_tokens=5, dim=32, num_layers=1, num_heads=2)


def count(cls, **arguments):
    with torch.device('meta'):
        return sum(p.numel() for p in cls(**arguments).parameters())


# Encoder without the latent tokens, transformer of the decoder; MaskGIT's decoder has 30,478,339
# parameters and its table 1024 * 256.
@pytest.mark.parametrize(
    ('size', 'tokens', 'encoder', 'decoder'),
    [
        (LARGE, 32, 303_410_188, 306_822_144),
        (BASE, 64, 85_904_652, 88_070_656),
        (SMALL, 128, 25_818_636, 27_000_832),
    ],
)
def test_two_stage_models(size, tokens, encoder, decoder):
    ours = count(LatentVitEncoder, out_channels=12, num_tokens=tokens, **size)
    assert ours == encoder + tokens * size['dim']
    proxy = dict(proxy=(1024, 256), proxy_decoder=MASKGIT)
    ours = count(LatentVitDecoder, in_channels=12, num_tokens=tokens, **size, **proxy)
    assert ours == decoder + 30_478_339 + 1024 * 256


# All parameters, of which the table of codes has 8192 * 64.
@pytest.mark.parametrize(
    ('first', 'second', 'tokens', 'total'),
    [
        (BASE, LARGE, 64, 390_016_148),
        (BASE, LARGE, 128, 390_179_988),
        (SMALL, LARGE, 256, 330_260_884),
    ],
)
def test_single_stage_models(first, second, tokens, total):
    encoder = count(LatentVitEncoder, out_channels=64, num_tokens=tokens, **first)
    decoder = count(LatentVitDecoder, in_channels=64, num_tokens=tokens, **second)
    assert encoder + decoder + 8192 * 64 == total


@torch.no_grad()
def test_the_legacy_reshape_mixes_tokens():
    """Number ``n * dim + w`` of the transformer's output, read as (dim, tokens)."""
    torch.manual_seed(0)
    encoder = LatentVitEncoder(out_channels=6, **TINY).eval()
    image = torch.randn(2, 3, 16, 16)
    cells = encoder.patch_embed(image).flatten(2).transpose(1, 2)
    _, latents = encoder.vit(cells, encoder.latent_tokens.expand(2, -1, -1))
    torch.testing.assert_close(encoder(image), encoder.out(latents).transpose(1, 2))
    encoder.legacy_reshape = True
    flat = latents.flatten(1)
    column = torch.stack([flat[:, w * 5 + 3] for w in range(32)], 1)
    torch.testing.assert_close(encoder(image)[..., 3], encoder.out(column))


def test_initial_weights():
    """The proxy's decoder keeps its own; heads have those of the transformer, biases are zero."""
    torch.manual_seed(0)
    encoder = LatentVitEncoder(out_channels=6, **TINY, initial_deviation=0.1)
    decoder = LatentVitDecoder(in_channels=6, **TINY, initial_deviation=0.1)
    small = dict(MASKGIT, channels=32, channel_multipliers=(1, 1, 2))
    mixture = LatentVitDecoder(
        in_channels=6, proxy=(64, 8), proxy_decoder=small, **TINY, initial_deviation=0.1
    )
    for layer in (
        encoder.patch_embed,
        encoder.out,
        encoder.vit.blocks[0].attn.qkv,
        decoder.embed,
        decoder.head.ffn,
        decoder.head.conv_out,
        mixture.head.ffn[2],
    ):
        count = layer.weight.numel()
        # Within four deviations of a sample deviation's own.
        assert layer.weight.std().item() == pytest.approx(0.1, rel=4 / (2 * count) ** 0.5)
        assert layer.bias.count_nonzero() == 0
    # A convolution of torch's: uniform within 1 / sqrt(inputs).
    weight = mixture.head.decoder.conv_out.weight
    bound = weight[0].numel() ** -0.5
    assert 0.9 * bound < weight.abs().max() <= bound


@torch.no_grad()
def test_pixels_of_a_patch_are_row_column_color():
    head = PixelHead(1, 3, 2)
    head.ffn.weight.zero_()
    head.ffn.bias.copy_(torch.arange(12.0))
    # A convolution that passes the image as it is.
    head.conv_out.weight.zero_()
    head.conv_out.bias.zero_()
    for color in range(3):
        head.conv_out.weight[color, color, 1, 1] = 1
    image = head(torch.zeros(1, 1, 2, 2))
    for row, column, color in ((0, 1, 2), (1, 0, 0), (1, 1, 1)):
        expected = (2 * row + column) * 3 + color
        assert image[0, color, 2 + row, column].item() == expected


def test_mistakes_are_named():
    with pytest.raises(UserError, match='patch_size=5` must divide `image_size=.16, 16.'):
        LatentVitEncoder(out_channels=6, **TINY | dict(patch_size=5))
    with pytest.raises(UserError, match='divisible by `num_heads`, got 32 and 3'):
        LatentVitEncoder(out_channels=6, **TINY | dict(num_heads=3))
    with pytest.raises(UserError, match='set both `proxy` and `proxy_decoder`'):
        LatentVitDecoder(in_channels=6, proxy=(8, 4), **TINY)
    with pytest.raises(UserError, match='only accepts 16x16'):
        LatentVitEncoder(out_channels=6, **TINY)(torch.zeros(1, 3, 16, 32))
    decoder = LatentVitDecoder(in_channels=6, **TINY)
    with pytest.raises(UserError, match='to images of 16x16, not'):
        decoder(torch.zeros(1, 6, 5), size=(32, 32))
