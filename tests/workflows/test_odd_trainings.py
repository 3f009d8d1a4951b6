"""Trainings that fail before they begin, and invalid schedules."""

import math
from pathlib import Path

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.optim import LinearLR

from openmagvit2.config import load_config
from openmagvit2.engine import loops
from openmagvit2.engine.hooks import logger
from openmagvit2.errors import UserError
from openmagvit2.registry import PARAM_SCHEDULERS
from openmagvit2.workflows.train import train

ROLE = 'optim_wrapper.autoencoder'
CONFIG = Path(__file__).parents[2] / 'configs' / 'tiny' / 'lfq_32.py'

IMAGES = dict(type='FashionMNIST', num_images=8, pipeline=[dict(type='Pad', size=32)])
LOADER = dict(_delete_=True, dataset=IMAGES)


def options(**more) -> dict:
    return {
        'train_cfg.max_iters': 2,
        'global_batch_size': 4,
        'val_dataloader': None,
        **more,
    }


def test_a_resume_of_a_finished_training_says_so(tmp_path, monkeypatch):
    lines = []
    monkeypatch.setattr(loops, 'print_log', lambda text, *_, **__: lines.append(text))
    train(load_config(CONFIG, options()), str(tmp_path))
    assert not any('is finished' in line for line in lines)
    train(load_config(CONFIG, options()), str(tmp_path), resume=True)
    (line,) = (line for line in lines if 'is finished' in line)
    assert '2 of 2 iterations' in line and 'larger train_cfg.max_iters' in line
    longer = options() | {'train_cfg.max_iters': 3}
    runner = train(load_config(CONFIG, longer), str(tmp_path), resume=True)
    assert runner.iter == 3 and sum('is finished' in line for line in lines) == 1


def test_values_that_no_iteration_has_are_named_in_the_log(tmp_path, monkeypatch):
    lines = []
    monkeypatch.setattr(logger, 'print_log', lambda text, *_: lines.append(text))
    shown = [dict(data_src=name, method_name='mean', window_size=5) for name in ('loss', 'lss')]
    config = options() | {'log_processor.custom_cfg': shown}
    train(load_config(CONFIG, config), str(tmp_path))
    (line,) = lines
    assert 'no iteration has a value `lss`, which' in line and ' loss, ' in line


@pytest.mark.parametrize(
    ('scheduler', 'message'),
    [
        (
            dict(type='LinearLR', begin=2),
            'LinearLR fails with these settings: .*end should be larger',
        ),
        (dict(type='StepLR', step_size=0), 'StepLR fails with these settings: .*modulo by zero'),
        (
            dict(type='StepLR', step_size=None),
            "StepLR fails with these settings: .*'NoneType'; correct",
        ),
        (
            dict(type='WarmupDecayLR', last_step='x'),
            'WarmupDecayLR fails with these settings: Asserti',
        ),
        (dict(type='MultiStepLR', milestones=3), 'MultiStepLR fails with these settings: .*int'),
    ],
)
def test_schedules_of_mmengine_that_cannot_be_followed(tmp_path, scheduler, message):
    schedule = dict(scheduler, by_epoch=False)
    config = load_config(CONFIG, options(param_scheduler=[schedule]))
    with pytest.raises(UserError, match=f'^param_scheduler: {message}'):
        train(config, str(tmp_path))


@pytest.mark.parametrize(
    'settings',
    [
        dict(custom_cfg=5),
        dict(custom_cfg=[1]),
        dict(custom_cfg=[dict(data_src='loss', method_name='nope', window_size=5)]),
        dict(custom_cfg=[dict(data_src='loss', method_name='mean', window_size='x')]),
        dict(mean_pattern='['),
    ],
    ids=str,
)
def test_logs_of_mmengine_that_cannot_be_written(tmp_path, settings):
    log = dict(type='LogProcessor', by_epoch=False, **settings)
    config = load_config(CONFIG, options(log_processor=log))
    with pytest.raises(UserError, match='^log_processor: LogProcessor fails with these settings: '):
        train(config, str(tmp_path))


@pytest.mark.parametrize(
    ('given', 'message'),
    [
        ({'optim_wrapper.type': 'AmpOptimWrapper'}, r'optim_wrapper\.type=.* is not used here'),
        ({ROLE: dict(no_decay='embed')}, "no_decay must be a list .* got 'embed'"),
        ({f'{ROLE}.no_decay': 3}, 'no_decay must be a list of parts of names'),
        ({ROLE: dict(no_decay_1d='x')}, 'no_decay_1d must be one of True, False'),
        ({f'{ROLE}.no_dcay': 3}, r'Unknown config key `optim_wrapper\.autoencoder\.no_dcay`'),
        ({ROLE: dict(optimizer=dict(params=3))}, 'params are those of the role'),
        ({f'{ROLE}.optimizer.lr': math.inf}, r'optimizer\.lr must be a finite number, got inf'),
        ({f'{ROLE}.optimizer.betas': [0.5, None]}, r'optimizer\.betas must be a list of 2 numbers'),
        (
            {'param_scheduler': [dict(type='StepLR', by_epoch=False, convert_to_iter_based=True)]},
            'convert_to_iter_based goes with by_epoch=True',
        ),
        (
            {'custom_hooks': [dict(type='EarlyStoppingHook', monitor='x')]},
            '^custom_hooks: EarlyStoppingHook fails with these settings: Cannot infer the rule',
        ),
    ],
)
def test_settings_that_are_of_no_use(tmp_path, given, message):
    with pytest.raises(UserError, match=message):
        train(load_config(CONFIG, options() | given), str(tmp_path))


def test_settings_that_mmengine_has_and_a_training_can_follow(tmp_path):
    given = options(param_scheduler={}) | {'randomness.diff_rank_seed': True}
    runner = train(load_config(CONFIG, given | dict(seed=3)), str(tmp_path))
    # The order depends only on the seed, and is the same in all processes.
    assert runner.iter == 2 and runner.train_dataloader.sampler.seed == 3


def test_a_loader_stacks_tensors_by_default(tmp_path):
    loader = LOADER | dict(sampler=dict(type='ResumableInfiniteSampler'))
    assert train(load_config(CONFIG, options(train_dataloader=loader)), str(tmp_path)).iter == 2


def test_bugs_of_other_schedulers_keep_their_traceback(tmp_path, monkeypatch):
    class Broken(LinearLR):
        def _get_value(self):
            raise ValueError('a bug')

    # The name is removed after the test.
    monkeypatch.setitem(PARAM_SCHEDULERS.module_dict, 'Broken', Broken)
    scheduler = dict(type='Broken', by_epoch=False)
    config = load_config(CONFIG, options(param_scheduler=[scheduler]))
    with pytest.raises(ValueError, match='a bug') as error:
        train(config, str(tmp_path))
    assert not isinstance(error.value, UserError)


@pytest.mark.parametrize(
    ('given', 'message'),
    [
        ({'train_dataloader.sampler': None}, 'sampler: SequentialSampler cannot resume at'),
        ({'train_dataloader': LOADER}, 'sampler: SequentialSampler cannot resume at'),
        ({'train_dataloader.collate_fn.type': 'pseudo_collate'}, 'n: pseudo_collate makes lists'),
        ({'val_dataloader': dict(_delete_=True, batch_size=2)}, 'val_dataloader has no dataset'),
        ({'train_cfg.max_iters': 1e30}, r'max_iters or max_epochs gives 10+19\d+ iterations'),
        ({'train_dataloader.sampler': []}, 'sampler: list cannot resume at a sample; set dict'),
        ({'global_batch_size': 10**9}, r'10{9} samples at once, .* have 3\d{3} GB; this machine'),
        (
            {'train_dataloader.num_workers': 2, 'train_dataloader.prefetch_factor': 10**9},
            r'80{9} samples at once, .* have \d{5} GB; this machine',
        ),
        (
            {'train_dataloader.dataset.pipeline.0.size': 10**6},
            'Pad: size=10{6} gives images of 4',
        ),
        ({'optim_wrapper': dict(_delete_=True, type='AutocastOptimWrapper')}, 'has neither const'),
    ],
)
def test_what_no_training_can_use(tmp_path, given, message):
    with pytest.raises(UserError, match=message):
        train(load_config(CONFIG, options() | given), str(tmp_path))


def test_a_memory_that_is_full(tmp_path):
    class Large(Hook):
        def before_train_iter(self, runner, batch_idx, data_batch=None):
            torch.empty(10**15)

    message = r'^Out of memory \(.*\); use a smaller global_batch_size'
    with pytest.raises(UserError, match=message):
        train(load_config(CONFIG, options()), str(tmp_path), hooks=[Large()])
