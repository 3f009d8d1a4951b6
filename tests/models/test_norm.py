"""Normalisation of a single latent position."""

import torch
from torch import nn

from openmagvit2.models.layers.adaptive_group_norm import AdaptiveGroupNorm
from openmagvit2.models.layers.norm import GroupNorm


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
