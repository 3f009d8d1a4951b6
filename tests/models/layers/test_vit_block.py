"""ViT-VQGAN's parts: positions, parameter counts, gradients past the normalization, StyleGAN2."""

import pytest
import torch

from openmagvit2.errors import UserError
from openmagvit2.models.discriminators import StyleGAN2
from openmagvit2.models.discriminators.stylegan2 import with_deviation
from openmagvit2.models.layers.plain_vit import sine_positions
from openmagvit2.models.layers.vit_block import VitBlock
from openmagvit2.models.quantizers import VQ


def test_columns_come_first():
    table = sine_positions(2, 3, 8)
    column, row = table[1], table[3]
    turned = torch.tensor([0.841471, 0.01, 0.540302, 0.99995])
    torch.testing.assert_close(column, torch.cat([turned, torch.tensor([0.0, 0, 1, 1])]))
    torch.testing.assert_close(row, torch.cat([torch.tensor([0.0, 0, 1, 1]), turned]))


def test_heads_have_a_width_of_their_own():
    block = VitBlock(32, 2, head_dim=12, hidden=48)
    assert block.attention.qkv.weight.shape == (72, 32) and block.attention.qkv.bias is None
    assert block(torch.randn(2, 5, 32)).shape == (2, 5, 32)
    with pytest.raises(UserError, match='must be one of tanh, gelu'):
        VitBlock(32, 2, head_dim=12, hidden=48, activation='relu')


def test_a_raw_gradient_passes_no_normalization():
    for raw in (True, False):
        quantizer = VQ(codebook_size=8, code_dim=4, restart_after=None, raw_gradient=raw)
        z, weights = torch.randn(2, 4, 3, requires_grad=True), torch.randn(2, 4, 3)
        (grad,) = torch.autograd.grad((quantizer(z).codes * weights).sum(), z)
        assert torch.allclose(grad, weights) == raw


def test_the_discriminator_of_256_pixels():
    with torch.device('meta'):
        part = StyleGAN2(image_size=256)
    assert sum(p.numel() for p in part.parameters()) == 28_864_129
    with pytest.raises(UserError, match='power of two'):
        StyleGAN2(image_size=48)
    with pytest.raises(UserError, match='have 3 entries for images of 16 pixels, got 2'):
        StyleGAN2(image_size=16, widths=(8, 8))


@pytest.mark.parametrize(('batch', 'groups'), [(8, 2), (6, 1), (3, 1)])
def test_deviation_of_groups(batch, groups):
    x = torch.randn(batch, 2, 3, 3)
    found = with_deviation(x)[:, 2, 0, 0]
    for n in range(batch):
        own = x[n % groups :: groups]
        expected = ((own - own.mean(0)).square().mean(0) + 1e-8).sqrt().mean()
        assert found[n].item() == pytest.approx(expected.item(), rel=1e-5)
