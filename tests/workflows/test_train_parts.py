"""Everything that a training needs is checked before a folder is created."""

import multiprocessing
from pathlib import Path

import pytest
from mmengine.config import Config

from openmagvit2.config import load_config
from openmagvit2.errors import UserError
from openmagvit2.workflows import runner as module
from openmagvit2.workflows.runner import build_runner
from openmagvit2.workflows.train import train

CONFIG = Path(__file__).parents[2] / 'configs' / 'tiny' / 'lfq_32.py'


@pytest.mark.parametrize(
    ('key', 'value', 'message'),
    [
        ('model', None, 'The config has no model, which a training needs'),
        ('optim_wrapper', None, 'The config has no optim_wrapper'),
        ('train_dataloader', dict(_delete_=True), 'The config has no train_dataloader'),
        ('train_dataloader.dataset', None, 'has no train_dataloader.dataset'),
        (
            'train_cfg',
            dict(_delete_=True, type='IterBasedTrainLoop', max_iters=2),
            'train_cfg.type=IterBasedTrainLoop must be IterationLoop',
        ),
    ],
)
def test_what_is_missing_is_named(tmp_path, key, value, message):
    with pytest.raises(UserError, match=message):
        train(load_config(CONFIG, {key: value}), str(tmp_path / 'run'))
    assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize('kind', ['ResumableInfiniteSampler', 'InfiniteSampler'])
def test_a_validation_that_never_ends_is_refused(tmp_path, kind):
    options = {'val_dataloader.sampler': dict(_delete_=True, type=kind)}
    with pytest.raises(UserError, match=rf'val_dataloader\.sampler: {kind} never ends; set dict'):
        train(load_config(CONFIG, options), str(tmp_path))


def test_a_default_hook_that_is_none_is_left_out(tmp_path):
    options = {
        'default_hooks.record': None,
        'default_hooks.timer': None,
    }
    runner = build_runner(load_config(CONFIG, options), str(tmp_path))
    names = {type(hook).__name__ for hook in runner.hooks}
    assert 'ScalarsHook' in names and not names & {'MetricsRecordHook', 'IterTimerHook'}


def test_workers_start_anew_where_forks_crash(monkeypatch):
    given = Config(dict(env_cfg=dict(mp_cfg=dict(mp_start_method='forkserver'))))
    for crash, expected in ((False, None), (True, 'spawn')):
        monkeypatch.setattr(module, 'FORKS_CRASH', crash)
        config = Config({})
        module.set_workers(config)
        method = config.get('env_cfg', {}).get('mp_cfg', {}).get('mp_start_method')
        assert method == expected
        module.set_workers(given)
        assert given.env_cfg.mp_cfg.mp_start_method == 'forkserver'


@pytest.mark.slow
@pytest.mark.parametrize('name', ['lfq_32', 'ar_32'])
def test_a_training_whose_workers_start_anew(tmp_path, monkeypatch, name):
    monkeypatch.setattr(module, 'FORKS_CRASH', True)
    before = multiprocessing.get_start_method(allow_none=True)
    losses = []
    for workers in (0, 1):
        options = {
            'train_cfg.max_iters': 3,
            'train_cfg.val_interval': 3,
            'val_dataloader.dataset.num_images': 10,
            'train_dataloader.num_workers': workers,
            'val_dataloader.num_workers': workers,
            'experiment_name': f'{tmp_path.name}-{workers}',
            'custom_hooks': [],
        }
        try:
            config = load_config(CONFIG.with_name(f'{name}.py'), options)
            run = train(config, str(tmp_path / str(workers)))
            assert multiprocessing.get_start_method() == 'spawn'
        finally:
            multiprocessing.set_start_method(before, force=True)
        losses.append(run.message_hub.get_scalar('train/loss').data[0].tolist())
    assert losses[0] == losses[1]


def test_two_runs_of_a_process_share_no_log_and_no_history(tmp_path):
    """Two Runners that are built within a second, by which mmengine distinguishes runs."""
    first, second = (build_runner(load_config(CONFIG), str(tmp_path / name)) for name in 'ab')
    assert first.message_hub is not second.message_hub and first.logger is not second.logger
    assert first.visualizer is not second.visualizer
