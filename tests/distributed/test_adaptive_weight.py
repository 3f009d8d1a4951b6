"""The adaptive weight of two processes equals that of one process on the joint batch."""

import pytest
import torch
from torch import nn
from two_processes import run_in_two

from openmagvit2.models.losses import AdaptiveWeight


def losses(rows: slice) -> tuple[torch.Tensor, torch.Tensor, nn.Parameter]:
    """Return the mean reconstruction and adversarial losses of some images, and a layer."""
    generator = torch.Generator().manual_seed(2)
    x, target, judge = (torch.randn(8, 5, generator=generator)[rows] for _ in range(3))
    layer = nn.Parameter(torch.randn(5, 5, generator=generator))
    fake = x @ layer
    return (fake - target).abs().mean(), -(fake * judge).sum(1).mean(), layer


def _work(rank: int, folder: str) -> None:
    weight = AdaptiveWeight()(*losses(slice(4 * rank, 4 * rank + 4)))
    torch.save(weight, f'{folder}/{rank}.pt')


@pytest.mark.slow
@pytest.mark.smoke
def test_gradients_are_averaged_before_their_norms(tmp_path):
    run_in_two(_work, tmp_path)
    two = [torch.load(tmp_path / f'{rank}.pt') for rank in range(2)]
    whole = AdaptiveWeight()(*losses(slice(0, 8)))
    assert two[0].equal(two[1]) and not two[0].requires_grad
    torch.testing.assert_close(two[0], whole, rtol=1e-5, atol=0)
    # Norms before averaging would choose another number.
    alone = [AdaptiveWeight()(*losses(slice(i, i + 4))) for i in (0, 4)]
    assert abs(sum(alone) / 2 - whole) > 0.02 * whole
