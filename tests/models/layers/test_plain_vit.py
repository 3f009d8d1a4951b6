"""BSQ-ViT's encoder and decoder: pixel order in a patch, the bound of the output, mistakes."""

import pytest
import torch

from openmagvit2.errors import UserError
from openmagvit2.models.decoders import PlainVitDecoder
from openmagvit2.models.encoders import PlainVitEncoder

VIT = dict(image_size=8, patch_size=4, dim=16, num_layers=1, num_heads=2)


def test_patches_are_vectors_of_color_row_and_column():
    encoder, image = PlainVitEncoder(out_channels=5, **VIT), torch.randn(1, 3, 8, 8)
    vectors = image.unfold(2, 4, 4).unfold(3, 4, 4).permute(0, 2, 3, 1, 4, 5).reshape(1, 4, 48)
    expected = vectors @ encoder.patch_embed.weight.flatten(1).T
    found = encoder.patch_embed(image).flatten(2).transpose(1, 2)
    torch.testing.assert_close(found, expected)


def test_the_decoder_puts_pixels_in_the_same_order_and_cuts_them():
    decoder = PlainVitDecoder(in_channels=5, pixel_hidden=6, bound=0.5, **VIT).eval()
    with torch.no_grad():
        decoder.out.weight.zero_()
        decoder.out.bias.copy_(torch.linspace(-1, 1, 48))
    image = decoder(torch.randn(2, 5, 2, 2))
    patch = torch.linspace(-1, 1, 48).clamp(-0.5, 0.5).view(3, 4, 4)
    for row, column in ((0, 0), (0, 4), (4, 0), (4, 4)):
        torch.testing.assert_close(image[1, :, row : row + 4, column : column + 4], patch)
    image.sum().backward()
    inside = torch.linspace(-1, 1, 48).abs() < 0.5
    assert (decoder.out.bias.grad != 0).equal(inside)
    with pytest.raises(UserError, match='images of 8x8, not 16x16'):
        decoder(torch.zeros(1, 5, 2, 2), size=(16, 16))


def test_heads_share_the_width():
    with pytest.raises(UserError, match='divisible by `num_heads`, got 16 and 3'):
        PlainVitEncoder(out_channels=5, **VIT | dict(num_heads=3))
