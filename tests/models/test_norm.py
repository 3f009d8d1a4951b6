"""Normalization of a single latent position, and norm, swish and convolution fused in one."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.memory import PeakMemory
from openmagvit2.models.layers.adaptive_group_norm import AdaptiveGroupNorm
from openmagvit2.models.layers.norm import GroupNorm, norm_silu_conv


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


def plain(norm, conv, x):
    return conv(F.silu(norm(x)))


def layers(bias=True):
    torch.manual_seed(0)
    norm, conv = GroupNorm(4, 8), nn.Conv2d(8, 12, 3, stride=2, padding=1, bias=bias)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    return norm, conv


@pytest.mark.parametrize('dtype', [None, torch.bfloat16])
@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize('bias', [True, False])
def test_norm_swish_convolution_in_one_are_all_bit_for_bit(layout, dtype, bias):
    norm, conv = layers(bias)
    x = torch.randn(2, 8, 6, 5).contiguous(memory_format=layout).requires_grad_()
    arguments = (x, *norm.parameters(), *conv.parameters())
    found = []
    for function in (norm_silu_conv, plain):
        autocast = torch.autocast('cpu', dtype, enabled=dtype is not None)
        with autocast, torch.no_grad():
            assert function(norm, conv, x).equal(plain(norm, conv, x))
        with autocast:
            out = function(norm, conv, x)
        torch.manual_seed(1)
        found.append([out, *torch.autograd.grad(out, arguments, torch.randn_like(out))])
    for a, b in zip(*found, strict=True):
        assert a.dtype == b.dtype and a.equal(b)


def test_a_weight_is_used_again_in_the_same_autocast():
    norm, conv = layers()
    x = torch.randn(2, 8, 6, 5)
    with torch.autocast('cpu', torch.bfloat16):
        norm_silu_conv(norm, conv, x)
        plain(norm, conv, x).sum().backward()
    assert conv.weight.grad.abs().sum() > 0


def test_the_backward_pass_computes_as_the_forward_pass():
    found = []
    for inside in (False, True):
        norm, conv = layers()
        torch.manual_seed(1)
        out = norm_silu_conv(norm, conv, torch.randn(2, 8, 6, 5))
        with torch.autocast('cpu', torch.bfloat16, enabled=inside):
            out.square().sum().backward()
        found.append(norm.weight.grad)
    assert found[0].equal(found[1])


@pytest.mark.parametrize('frozen', ['norm', 'conv', 'input', 'norm and input'])
def test_frozen_parts_get_no_gradient(frozen):
    found = []
    for function in (norm_silu_conv, plain):
        norm, conv = layers()
        norm.requires_grad_('norm' not in frozen)
        conv.requires_grad_('conv' not in frozen)
        x = torch.randn(2, 8, 6, 5, requires_grad='input' not in frozen)
        function(norm, conv, x).square().sum().backward()
        found.append([t.grad for t in (x, *norm.parameters(), *conv.parameters())])
    for a, b in zip(*found, strict=True):
        assert (a is None) == (b is None) and (a is None or a.equal(b))


def test_hooks_of_the_convolution_are_called():
    norm, conv = layers()
    seen = []
    conv.register_forward_hook(lambda module, args, out: seen.append(out.shape))
    norm_silu_conv(norm, conv, torch.randn(2, 8, 6, 5))
    assert seen == [(2, 12, 3, 3)]


@pytest.mark.parametrize('dtype', [None, torch.bfloat16])
def test_norm_swish_convolution_keep_the_output_alone(dtype):
    norm, conv = GroupNorm(32, 64), nn.Conv2d(64, 64, 3, padding=1)
    x, kept = torch.randn(2, 64, 32, 32, requires_grad=True), {}
    for function in (norm_silu_conv, plain):
        with PeakMemory() as memory, torch.autocast('cpu', dtype, enabled=dtype is not None):
            out = function(norm, conv, x)
        kept[function] = sum(memory.sizes.values()) / (out.numel() * out.element_size())
        del out
    # The plain form keeps two maps in between, in float32 or bfloat16; weights are small.
    assert kept[norm_silu_conv] < 1.3 and kept[plain] > 2.9
