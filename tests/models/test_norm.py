"""Normalisation of a single latent position."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.memory import PeakMemory
from openmagvit2.models.layers.adaptive_group_norm import AdaptiveGroupNorm
from openmagvit2.models.layers.norm import GroupNorm, norm_silu


def test_groups_of_one_value_become_the_bias():
    torch.manual_seed(0)
    norm, theirs = GroupNorm(4, 8), nn.GroupNorm(4, 8)
    nn.init.normal_(norm.bias)
    theirs.load_state_dict(norm.state_dict())
    x = torch.randn(2, 8, 3, 5)
    assert norm(x).equal(theirs(x))
    single = GroupNorm(8, 8)
    nn.init.normal_(single.bias)
    assert single(torch.randn(1, 8, 1, 1)).flatten().allclose(single.bias, atol=1e-4)


def test_codes_of_one_position_do_not_vary():
    torch.manual_seed(0)
    layer = AdaptiveGroupNorm(32, 6)
    x, code = torch.randn(2, 32, 4, 4), torch.randn(2, 6, 1, 1)
    # The same code at every position: its deviation is 0, its mean itself.
    assert layer(x, code).allclose(layer(x, code.expand(-1, -1, 4, 4)), atol=1e-6)


@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last])
def test_norm_and_swish_in_one_are_both_bit_for_bit(layout):
    torch.manual_seed(0)
    norm = GroupNorm(4, 8)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    x = torch.randn(2, 8, 6, 5).contiguous(memory_format=layout).requires_grad_()
    arguments, weight = (x, norm.weight, norm.bias), torch.randn(2, 8, 6, 5)
    with torch.no_grad():
        assert norm_silu(norm, x).equal(F.silu(norm(x)))
    fused, plain = norm_silu(norm, x), F.silu(norm(x))
    assert fused.equal(plain)
    for a, b in zip(
        torch.autograd.grad((fused * weight).sum(), arguments),
        torch.autograd.grad((plain * weight).sum(), arguments),
        strict=True,
    ):
        assert a.equal(b)


def test_norm_and_swish_keep_one_map_less():
    norm, x = GroupNorm(32, 64), torch.randn(2, 64, 32, 32, requires_grad=True)
    size, kept = x.numel() * 4, {}
    for name, function in dict(fused=norm_silu, plain=lambda n, x: F.silu(n(x))).items():
        with PeakMemory() as memory:
            out = function(norm, x)
            kept[name] = sum(memory.sizes.values())
            del out
    # The output, and in the plain form the normalised map beside it.
    assert kept['fused'] < 1.05 * size and 2 * size < kept['plain']
