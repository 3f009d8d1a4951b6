"""What a config needs for a training is looked for before a folder is made."""

from pathlib import Path

import pytest

from openmagvit2.config import load_config
from openmagvit2.errors import UserError
from openmagvit2.workflows.runner import build_runner
from openmagvit2.workflows.train import train

CONFIG = Path(__file__).parents[2] / 'configs' / 'tiny' / 'lfq_32.py'


@pytest.mark.parametrize(
    ('key', 'value', 'message'),
    [
        ('model', None, 'The config has no model; a training needs one'),
        ('optim_wrapper', None, 'The config has no optim_wrapper'),
        ('train_dataloader', dict(_delete_=True), 'The config has no train_dataloader'),
        ('train_dataloader.dataset', None, 'has no train_dataloader.dataset'),
        (
            'train_cfg',
            dict(_delete_=True, type='IterBasedTrainLoop', max_iters=2),
            'train_cfg.type=IterBasedTrainLoop: a training runs in an IterationLoop',
        ),
    ],
)
def test_what_is_missing_is_named(tmp_path, key, value, message):
    with pytest.raises(UserError, match=message):
        train(load_config(CONFIG, {key: value}), str(tmp_path / 'run'))
    assert not (tmp_path / 'run').exists()


def test_a_default_hook_that_is_none_is_left_out(tmp_path):
    options = {
        'default_hooks.record': None,
        'default_hooks.timer': None,
    }
    runner = build_runner(load_config(CONFIG, options), str(tmp_path))
    names = {type(hook).__name__ for hook in runner.hooks}
    assert 'ScalarsHook' in names and not names & {'MetricsRecordHook', 'IterTimerHook'}


def test_two_runs_of_a_process_share_no_log_and_no_history(tmp_path):
    """Built one after the other, in less than the second that mmengine tells runs apart by."""
    first, second = (build_runner(load_config(CONFIG), str(tmp_path / name)) for name in 'ab')
    assert first.message_hub is not second.message_hub and first.logger is not second.logger
    assert first.visualizer is not second.visualizer
