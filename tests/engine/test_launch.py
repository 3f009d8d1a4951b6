"""The start of several processes, and how errors of their workers read."""

from datetime import timedelta

import pytest
from mmengine.config import Config
from torch.utils.data import DataLoader

from openmagvit2 import console
from openmagvit2.datasets import FashionMNIST
from openmagvit2.engine import launch
from openmagvit2.errors import UserError


@pytest.mark.parametrize('num_workers', [0, 1])
def test_a_mistake_is_one_sentence_with_and_without_workers(num_workers):
    data = FashionMNIST(num_images=10, pipeline=[dict(type='CenterCrop', size=64)])
    with pytest.raises(ValueError) as caught:
        next(iter(DataLoader(data, num_workers=num_workers)))
    assert (
        console.sentence(caught.value)
        == 'CenterCrop(size=64) got an image of 28x28; put Resize(size=64) before it.'
    )


@pytest.mark.parametrize(('launcher', 'name'), [('pytorch', 'RANK'), ('slurm', 'SLURM_PROCID')])
def test_a_launcher_outside_its_environment(launcher, name, monkeypatch):
    monkeypatch.delenv(name, raising=False)
    with pytest.raises(ValueError, match=f'--launcher {launcher}: {name} is not set'):
        launch.start(launcher)


@pytest.mark.parametrize(('settings', 'seconds'), [({}, 1800), (dict(timeout=45), 45)])
def test_the_group_has_the_time_out_of_the_config(settings, seconds, monkeypatch):
    given = {}
    monkeypatch.setattr(launch.torch.cuda, 'is_available', lambda: False)
    monkeypatch.setattr(
        launch.dist,
        'init_process_group',
        lambda name, timeout: given.update(backend=name, timeout=timeout),
    )
    monkeypatch.setattr(
        launch.dist, 'new_group', lambda backend, timeout: given.update(long=timeout)
    )
    for name, value in dict(RANK='0', WORLD_SIZE='1').items():
        monkeypatch.setenv(name, value)
    launch.start('pytorch', Config(dict(env_cfg=dict(dist_cfg=settings))))
    assert given['backend'] == 'gloo' and given['timeout'] == timedelta(seconds=seconds)
    assert given['long'] >= timedelta(hours=24)


@pytest.mark.parametrize('value', [-1, '30', True])
def test_a_time_out_is_a_number_of_seconds(value, monkeypatch):
    for name in ('RANK', 'WORLD_SIZE'):
        monkeypatch.setenv(name, '1')
    with pytest.raises(UserError, match=r'env_cfg.dist_cfg.timeout must be a number of seconds'):
        launch.start('pytorch', Config(dict(env_cfg=dict(dist_cfg=dict(timeout=value)))))
