"""Schedules against the specification's numbers, the order of samples, and atomic files."""

import os

import pytest
import torch

from openmagvit2.checkpoint import read_checkpoint, save_atomically
from openmagvit2.engine.optim.schedule import WarmupDecayLR, factor
from openmagvit2.engine.samplers import ResumableInfiniteSampler
from openmagvit2.errors import UserError

PRETRAIN = dict(
    total=1_500_000, warmup=5000, warmup_start=0.0, hold=0.0, final=0.01, shape='cosine'
)
AR_XL = dict(total=584_150, warmup=11_683, warmup_start=0.005, hold=0.05, final=0.1, shape='linear')


@pytest.mark.parametrize(
    ('t', 'lr'), [(0, 0), (2500, 5e-5), (5000, 1e-4), (750_000, 5.076e-5), (1_499_999, 1e-6)]
)
def test_pretrain_schedule(t, lr):
    assert 1e-4 * factor(t, **PRETRAIN) == pytest.approx(lr, rel=1e-4)


@pytest.mark.parametrize(
    ('t', 'lr'), [(0, 1.2e-6), (11_683, 2.4e-4), (292_075, 1.40004e-4), (584_149, 2.4e-5)]
)
def test_generator_schedule(t, lr):
    assert 2.4e-4 * factor(t, **AR_XL) == pytest.approx(lr, rel=1e-5)


@pytest.mark.parametrize(
    ('settings', 'rates'),
    [
        # The training is shorter than the warm-up.
        (dict(warmup=4, warmup_start=0.1, end=3), [0.2, 0.2 + 0.45, 0.2 + 0.9]),
        # The curve spans the iterations from `begin`: its last value is that of the last one.
        (dict(begin=2, warmup=1, final=0.5, shape='linear', end=6), [2, 2, 0, 2, 1.5, 1]),
        # The curve begins after the end of the training.
        (dict(begin=7, end=3), [2, 2, 2]),
    ],
)
def test_scheduler_follows_the_curve(settings, rates):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2.0)
    scheduler = WarmupDecayLR(optimizer, **settings, by_epoch=False)
    seen = []
    for _ in rates:
        seen.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        scheduler.step()
    assert seen == pytest.approx(rates)


def first(sampler: ResumableInfiniteSampler, count: int) -> list[tuple[int, int]]:
    iterator = iter(sampler)
    return [next(iterator) for _ in range(count)]


def test_seek_equals_reading_on():
    straight = first(ResumableInfiniteSampler(range(7), seed=1), 40)
    sampler = ResumableInfiniteSampler(range(7), seed=1)
    sampler.seek(17)
    assert first(sampler, 23) == straight[17:]
    assert sorted(i for i, epoch in straight if epoch == 1) == list(range(7))
    assert [i for i, epoch in straight if epoch == 0] != [i for i, epoch in straight if epoch == 1]


@pytest.mark.parametrize('world', [2, 3, 9])
def test_processes_share_the_order(world):
    whole = first(ResumableInfiniteSampler(range(7), seed=1), 36)
    for rank in range(world):
        sampler = ResumableInfiniteSampler(range(7), seed=1)
        sampler.rank, sampler.world_size = rank, world
        assert first(sampler, 36 // world) == whole[rank::world]


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / 'file.pth'
    save_atomically(dict(state_dict=dict(value=1)), path)
    monkeypatch.setattr(os, 'replace', lambda *_: (_ for _ in ()).throw(OSError('killed')))
    with pytest.raises(
        UserError, match=r'file\.pth cannot be written \(killed\); what was there before is kept'
    ):
        save_atomically(dict(state_dict=dict(value=2)), path)
    assert read_checkpoint(path)['state_dict'] == dict(value=1)


def test_schedule_by_epoch_is_refused():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    with pytest.raises(ValueError, match='add by_epoch=False'):
        WarmupDecayLR(optimizer)
