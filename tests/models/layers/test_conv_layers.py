"""Attention, patches and depth-to-space, compared with direct formulas."""

import pytest
import torch
import torch.nn.functional as F
from contract_arguments import arguments
from torch import nn

from openmagvit2.models.decoders import CnnDecoder
from openmagvit2.models.encoders import CnnEncoder
from openmagvit2.models.layers.attention import AttnBlock
from openmagvit2.models.layers.patches import Patches, Unpatches, haar
from openmagvit2.models.layers.resample import depth_to_space
from openmagvit2.models.layers.residual import ResidualBlock


def direct_attention(block, x, q, k, v):
    """One head over all positions, written out."""
    b, c, h, w = x.shape
    q, k, v = (part.reshape(b, c, h * w) for part in (q, k, v))
    weights = torch.softmax(torch.einsum('bci,bcj->bij', q, k) / c**0.5, -1)
    out = torch.einsum('bij,bcj->bci', weights, v).reshape(b, c, h, w)
    return x + block.proj_out(out)


@torch.no_grad()
def test_attention():
    torch.manual_seed(0)
    separate, joint = AttnBlock(32), AttnBlock(32, qkv='joint')
    x = torch.randn(2, 32, 3, 5)
    h = F.group_norm(x, 32, eps=1e-6)
    expected = direct_attention(separate, x, separate.q(h), separate.k(h), separate.v(h))
    torch.testing.assert_close(separate(x), expected)
    joint.proj_out.load_state_dict(separate.proj_out.state_dict())
    parts = [getattr(separate, name) for name in 'qkv']
    joint.qkv.weight.copy_(torch.cat([part.weight for part in parts]))
    joint.qkv.bias.copy_(torch.cat([part.bias for part in parts]))
    torch.testing.assert_close(joint(x), expected)


@torch.no_grad()
def test_the_shortcut_of_the_branch():
    torch.manual_seed(0)
    block = ResidualBlock(32, 64, shortcut='branch')
    x = torch.randn(1, 32, 4, 4)
    h = block.conv1(F.silu(block.norm1(x)))
    h = block.conv2(F.silu(block.norm2(h)))
    assert block.nin_shortcut.weight.shape == (64, 64, 1, 1)
    torch.testing.assert_close(block(x), h + block.nin_shortcut(h))


def test_haar_bands():
    """The printed figures: sums of squares, channel by channel within each band."""
    x = torch.arange(48.0).reshape(1, 3, 4, 4)
    once, twice = haar(x), Patches(4, 'haar')(x)
    assert once[0, 0].flatten().tolist() == [2.5, 4.5, 10.5, 12.5]
    assert once[0, :, 0, 0].tolist() == [2.5, 18.5, 34.5, -2, -2, -2, -0.5, -0.5, -0.5, 0, 0, 0]
    bands = [7.5, 23.5, 39.5, -2, -2, -2, -0.5, -0.5, -0.5, 0, 0, 0]
    bands += [-4] * 3 + [0] * 9 + [-1] * 3 + [0] * 9 + [0] * 12
    assert twice.flatten().tolist() == bands


@pytest.mark.parametrize('kind', ['pixels', 'haar'])
@pytest.mark.parametrize('size', [1, 2, 8])
def test_patches_and_back(kind, size):
    x = torch.randn(2, 3, 16, 24, generator=torch.Generator().manual_seed(0))
    patches = Patches(size, kind)(x)
    assert patches.shape == (2, 3 * size**2, 16 // size, 24 // size)
    torch.testing.assert_close(Unpatches(size, kind)(patches), x)


def test_depth_to_space_keeps_the_memory_format():
    x = torch.randn(2, 12, 3, 5, generator=torch.Generator().manual_seed(0))
    last = depth_to_space(x.to(memory_format=torch.channels_last))
    assert depth_to_space(x).is_contiguous()
    assert last.is_contiguous(memory_format=torch.channels_last)
    assert last.equal(depth_to_space(x))
    # DCR: channel 3 * (2 p + q) + c holds pixel (p, q) of channel c.
    assert last[1, 2, 4, 7].item() == x[1, 3 * 1 + 2, 2, 3].item()


@pytest.mark.parametrize('build', [CnnEncoder, CnnDecoder])
def test_initial_weights_are_drawn_in_the_order_of_the_state_dict(build, monkeypatch):
    # As ever: a seed gives the weights that it gave before levels became a class of their own.
    drawn = []

    def draw(conv):
        drawn.append(conv)
        original(conv)

    original = nn.Conv2d.reset_parameters
    monkeypatch.setattr(nn.Conv2d, 'reset_parameters', draw)
    width = dict(out_channels=4) if build is CnnEncoder else dict(in_channels=4)
    network = build(**width, **arguments(build))
    in_order = [part for part in network.modules() if isinstance(part, nn.Conv2d)]
    assert len(in_order) > 8 and all(a is b for a, b in zip(drawn, in_order, strict=True))
