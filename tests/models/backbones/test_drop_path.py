"""Residual branches that are dropped in training."""

import pytest
import torch

from openmagvit2.errors import UserError
from openmagvit2.models.backbones import Llama


def test_rates_rise_and_branches_are_dropped_for_whole_samples():
    backbone = Llama(grid=(2, 2), dim=8, num_layers=5, num_heads=1, drop_path=0.4)
    assert [block.drop_path for block in backbone.blocks] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    block = backbone.blocks[-1].train()
    torch.manual_seed(0)
    kept = block.kept(torch.ones(20_000, 2, 3))
    assert kept.flatten(1).std(1).max() == 0
    assert kept[:, 0, 0].unique().tolist() == pytest.approx([0, 1 / 0.6])
    # Four deviations of a binomial share.
    assert kept.mean().item() == pytest.approx(1, abs=4 * (0.4 / 0.6 / 20_000) ** 0.5)
    assert block.eval().kept(kept) is kept
    assert 'drop' not in ''.join(backbone.state_dict())
    with pytest.raises(UserError, match='drop_path must be in'):
        Llama(grid=(2, 2), dim=8, num_layers=2, num_heads=1, drop_path=1.0)
