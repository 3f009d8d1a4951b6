"""Token orders: sets, permutations, and the falling share of random ones."""

import pytest
import torch

from openmagvit2.errors import UserError
from openmagvit2.models.orders import Masked, NextScale, Random, Raster


def test_sets():
    assert Raster(num_tokens=3).groups == (1, 1, 1)
    assert Masked(num_tokens=3).groups == (3,)
    assert NextScale(num_tokens=20, scales=(1, 2, (3, 5))).groups == (1, 4, 15)
    with pytest.raises(
        UserError, match=r'\(1, 4\) tokens have 5 in total, but the tokenizer has 6'
    ):
        NextScale(num_tokens=6, scales=(1, 2))


def test_share_of_permuted_samples():
    order = Random(num_tokens=4, start=100, end=200)
    shares = [order.share(i) for i in (0, 99, 100, 150, 175, 200, 300)]
    assert shares == [1.0, 1.0, 1.0, 0.5, 0.25, 0.0, 0.0]
    assert [Random(num_tokens=4, start=5, end=5).share(i) for i in (4, 5)] == [1.0, 0.0]
    with pytest.raises(UserError, match='0 <= start <= end'):
        Random(num_tokens=4, start=2, end=1)


def test_permutations_are_the_samples_own_and_uniform():
    order = Random(num_tokens=3, start=0, end=100)
    uniform = torch.rand(6000, 4, generator=torch.Generator().manual_seed(0))
    cells = order(6000, 50, uniform)
    assert order(2, 50, uniform[10:12]).equal(cells[10:12])
    raster = cells.eq(torch.arange(3)).all(1)
    # Half is permuted, and a sixth of these is in raster order by chance.
    assert raster.float().mean().item() == pytest.approx(0.5 + 0.5 / 6, abs=0.02)
    codes, counts = (cells @ torch.tensor([9, 3, 1]))[uniform[:, 0] < 0.5].unique(
        return_counts=True
    )
    assert len(codes) == 6 and (counts / counts.sum() - 1 / 6).abs().max() < 0.02


def test_evaluation_is_in_raster_order():
    order = Random(num_tokens=3, start=0, end=100)
    assert order(2) is None and order(2, 100, torch.rand(2, 4)) is None
