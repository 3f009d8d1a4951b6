"""A training step passes the iteration to models that accept it."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from openmagvit2.engine.parallel.ddp import RoleDDP
from openmagvit2.engine.step import TrainStep
from openmagvit2.models.layers.iteration import PerIteration


class Counter(PerIteration):
    """Count its moves, one per iteration."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer('moves', torch.zeros(()))
        self.seen: list = []

    def move(self, statistics):
        self.moves += 1

    def train_step(self, data, optim_wrapper, handles=None, iteration=None):
        self.gather(data)
        self.seen.append((iteration, self.foreseen))
        return dict(loss=data)


class Rehearsed(Counter):
    whole_batch = True

    def rehearse(self, data, optim_wrapper, iteration):
        self.gather(data)


class OfVersion1(nn.Module):
    def train_step(self, data, optim_wrapper, handles=None):
        return dict(loss=data)


def steps(model: nn.Module, count: int) -> list[dict]:
    runner = SimpleNamespace(model=model, optim_wrapper='wrapper')
    step = TrainStep(runner, count, 0, 'image {}'.format)
    return step._micro_steps(model, [torch.tensor(float(i)) for i in range(count)], 5)


@pytest.mark.parametrize('count', [1, 3])
def test_an_iteration_is_counted_and_moves_once(count):
    model = Counter()
    assert [log['loss'].item() for log in steps(model, count)] == list(range(count))
    assert model.moves == 1 and model.seen == [(5, None)] * count


def test_a_model_that_needs_the_whole_batch_rehearses():
    model = Rehearsed()
    steps(model, 2)
    whole = [(torch.tensor(0.0),), (torch.tensor(1.0),)]
    assert model.seen == [(5, whole)] * 2 and model.moves == 1
    assert model.foreseen is None and model.gathered is None


def test_a_train_step_of_version_1_is_called_with_its_old_arguments():
    assert len(steps(OfVersion1(), 2)) == 2


@pytest.mark.parametrize(('model', 'seen'), [(Counter, [(7, None)]), (OfVersion1, None)])
def test_data_parallelism_passes_the_number_on(model, seen):
    inner = model()
    wrapper = RoleDDP.__new__(RoleDDP)
    nn.Module.__init__(wrapper)
    wrapper.module, wrapper.handles = inner, dict
    wrapper.train_step(torch.zeros(()), 'wrapper', iteration=7)
    assert getattr(inner, 'seen', None) == seen
