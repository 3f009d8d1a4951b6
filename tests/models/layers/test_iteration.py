import pytest
import torch
from torch import nn

from openmagvit2.models.layers.iteration import PerIteration, one_iteration


class Average(PerIteration):
    """Keeps the mean of what the last iteration saw."""

    def __init__(self):
        super().__init__()
        self.register_buffer('mean', torch.zeros(()))
        self.moves = 0

    def forward(self, x):
        self.gather(x.mean())
        return x

    def move(self, statistics):
        self.moves += 1
        self.mean.copy_(torch.stack([mean for (mean,) in statistics]).mean())


def test_each_pass_is_an_iteration_unless_one_is_announced():
    average = Average()
    average(torch.tensor([2.0]))
    average(torch.tensor([4.0]))
    assert average.mean == 4 and average.moves == 2
    with one_iteration(nn.Sequential(average)):
        average(torch.tensor([2.0]))
        assert average.mean == 4
        average(torch.tensor([6.0]))
    assert average.mean == 4 and average.moves == 3
    average(torch.tensor([7.0]))
    assert average.mean == 7


def test_an_error_within_leaves_the_buffers():
    average = Average()
    with pytest.raises(RuntimeError, match='within'), one_iteration(average):
        average(torch.tensor([5.0]))
        raise RuntimeError('within')
    assert average.mean == 0 and average.moves == 0 and average.gathered is None
