"""Values outside of a model's config that would end in a traceback, or change nothing."""

from pathlib import Path

import pytest

from openmagvit2.config import load_config
from openmagvit2.errors import UserError

CONFIG = Path(__file__).parents[2] / 'configs' / 'tiny' / 'ar_32.py'
GRID = dict(type='SampleGridHook', num_per_class=2)


def hook(kind: str, **arguments) -> list[dict]:
    return [dict(type=kind, **arguments)]


@pytest.mark.parametrize(
    ('key', 'value', 'message'),
    [
        ('default_scope', 5, "default_scope must be 'openmagvit2', whose parts are built, got 5"),
        ('default_scope', None, "default_scope must be 'openmagvit2', .* got None"),
        ('launcher', 'torchrun', 'launcher must be one of None, none, pytorch, slurm, got .torch'),
        ('load_from', '', 'load_from must be the path of a checkpoint, got ..'),
        ('model_wrapper_cfg', [], r'model_wrapper_cfg must be a dict or None, got \[\]'),
        ('model_wrapper_cfg', dict(_delete_=True, find=1), 'cfg has find=1, but no `type`'),
        ('auto_scale_lr', 3, 'auto_scale_lr must be None, because each role has its learning rate'),
        ('auto_scale_lr', dict(enable=True), 'auto_scale_lr must be None, .* got {.enable.: True}'),
        ('val_dataloader.batch_sampler', [], r'batch_sampler must be a dict or None, got \[\]'),
        ('val_dataloader.pin_memory_device', 3, 'pin_memory_device must be the name of a device'),
        ('train_dataloader.sampler', {1: 2}, r'Unknown config key `train_dataloader\.sampler\.1`'),
        ('val_dataloader', {1: 2}, r'Unknown config key `val_dataloader\.1`'),
        ('test_dataloader.num_batch_per_epoch', 10**18, 'must be an integer from 1 to 10{9}'),
        ('param_scheduler.0.final', float('inf'), 'final must be a non-negative number, got inf'),
        ('test_evaluator', hook('SampleFrechet', features=dict(type=3)), r'features\.type must be'),
        ('test_evaluator', hook('SampleFrechet', features=dict(type='x')), r'0\.features: No `x`'),
        ('custom_hooks', hook('CodebookUsageHook', interval=0), r'0\.interval must be a positive'),
        ('custom_hooks', hook('CodebookUsageHook', window=0), r'0\.window must be a positive'),
        ('custom_hooks', hook('CodebookUsageHook', warn_below=2), 'must be a number from 0 to 1'),
        ('custom_hooks', hook('IterationLoggerHook', interval=0), 'must be a positive integer'),
        ('custom_hooks', hook('ResumableCheckpointHook', max_keep=0), 'must be a positive integer'),
        ('custom_hooks', hook('SubmoduleEMAHook', momentum=-1), 'must be a number from 0 to 1'),
    ],
)
def test_refused_when_the_config_is_loaded(key, value, message):
    with pytest.raises(UserError, match=message):
        load_config(CONFIG, {key: value})


def test_a_position_may_be_a_number(tmp_path):
    (tmp_path / 'a.py').write_text(f'_base_ = {str(CONFIG)!r}\ncustom_hooks = {{0: {GRID!r}}}\n')
    assert load_config(tmp_path / 'a.py').custom_hooks == [GRID]


@pytest.mark.parametrize(
    ('key', 'value'),
    [
        ('train_cfg.max_iters', 1e5),
        ('val_dataloader.dataset.num_images', 1e3),
        ('custom_hooks', hook('CodebookUsageHook', window=1e4)),
        ('test_cfg', dict(type='GenerationLoop', batch_size=1e3)),
    ],
)
def test_integers_in_scientific_notation_arrive_as_integers(key, value):
    options = {'test_dataloader': '{{_base_.val_dataloader}}', key: value}
    node = load_config(CONFIG, options | dict(test_evaluator=hook('SampleInceptionScore')))
    for part in key.split('.'):
        node = node[part]
    numbers = [node] if key.count('.') else [*(node[0] if key == 'custom_hooks' else node).values()]
    assert {type(number) for number in numbers} <= {int, str}


def test_cfg_is_a_variable():
    """mmengine's Runner has an argument of this name, which no config sets."""
    with pytest.raises(UserError, match='^Unknown config key `cfg`'):
        load_config(CONFIG, {'cfg': 1})
