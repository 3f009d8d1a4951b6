"""Errors, NaN and infinite values do not lose a run."""

import errno
import math
from pathlib import Path

import pytest
from mmengine.hooks import Hook
from test_run_folder import config

from openmagvit2.checkpoint import read_checkpoint
from openmagvit2.engine.hooks import ResumableCheckpointHook
from openmagvit2.errors import UserError
from openmagvit2.workflows.train import train


class Fail(Hook):
    """Raise an error at a point of the loop."""

    def __init__(self, where: str, iteration: int) -> None:
        self.where, self.iteration = where, iteration

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        if self.where == 'before' and batch_idx == self.iteration:
            raise UserError('Image x cannot be read.')

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        if self.where == 'after' and batch_idx == self.iteration:
            raise UserError('Image x cannot be read.')

    def before_val_iter(self, runner, batch_idx, data_batch=None) -> None:
        if self.where == 'validation' and runner.iter == self.iteration:
            raise UserError('Image x cannot be read.')


class Poison(Hook):
    """Put a NaN into an image of one iteration."""

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        if batch_idx == 2:
            data_batch['image'] = data_batch['image'].float()
            data_batch['image'][0] = math.nan


class PoisonWeights(Hook):
    """Put a NaN into a weight after the first iteration."""

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        next(runner.model.decoder.parameters()).data.view(-1)[0] = math.nan


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob('*.pth'))


EMA = dict(type='SubmoduleEMAHook', momentum=0.5)
AVERAGED = {'train_cfg.val_interval': 3, 'custom_hooks': [EMA]}


@pytest.fixture(scope='module')
def unbroken(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('unbroken')
    train(config(4, 9, **AVERAGED), str(folder))
    return folder


@pytest.mark.parametrize(
    ('where', 'kept'), [('before', ['iter_3.pth']), ('validation', ['iter_3.pth']), ('after', [])]
)
def test_an_error_saves_the_last_finished_iteration(tmp_path, unbroken, where, kept):
    with pytest.raises(UserError, match='Image x'):
        train(
            config(4, 9, **AVERAGED),
            str(tmp_path / 'a'),
            hooks=[Fail(where, 3)],
        )
    assert files(tmp_path / 'a') == kept
    if kept:
        train(config(4, 9, **AVERAGED), str(tmp_path / 'a'), resume=True)
        a, b = (read_checkpoint(folder / 'iter_4.pth') for folder in (tmp_path / 'a', unbroken))
        for key in ('state_dict', 'ema_state_dict'):
            assert all(a[key][name].equal(b[key][name]) for name in b[key]), key


def test_an_error_before_the_first_iteration_leaves_the_folder_free(tmp_path, capfd):
    with pytest.raises(UserError, match='Image x'):
        train(config(2), str(tmp_path), hooks=[Fail('before', 0)])
    assert files(tmp_path) == [] and 'its state is saved' not in ''.join(capfd.readouterr())
    train(config(2, 9), str(tmp_path))
    assert files(tmp_path) == ['iter_2.pth']


def test_a_full_disk_under_the_logs_is_named(tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(Fail, 'after_train_iter', full)
    with pytest.raises(UserError, match=rf'{tmp_path} cannot be written \(No space left on device'):
        train(config(2, custom_hooks=[]), str(tmp_path), hooks=[Fail('', 0)])


def test_a_huge_learning_rate_stops_with_the_last_finite_checkpoint(tmp_path):
    options = {'optim_wrapper.autoencoder.optimizer.lr': 1e30}
    with pytest.raises(UserError, match=r'^Iteration \d: .*NaN or infinite'):
        train(config(5, **options), str(tmp_path))
    for path in tmp_path.glob('*.pth'):
        assert all(
            value.isfinite().all()
            for value in read_checkpoint(path)['state_dict'].values()
            if value.is_floating_point()
        )


def test_weights_are_finite_before_a_validation(tmp_path):
    options = {'train_cfg.val_interval': 1, 'custom_hooks': []}
    with pytest.raises(UserError, match=r'^Iteration 1: decoder\.\S+ has NaN or infinite numbers'):
        train(config(2, 9, **options), str(tmp_path), hooks=[PoisonWeights()])
    assert files(tmp_path) == []


def test_the_loss_and_the_images_are_named(tmp_path):
    message = (
        r'Iteration 3: NaN or infinite loss.*reconstruction.*gradient of autoencoder.*, on '
        r'image \d+, image'
    )
    with pytest.raises(UserError, match=message):
        train(config(5, 9), str(tmp_path), hooks=[Poison()])
    assert files(tmp_path) == []


def test_non_finite_steps_are_skipped_as_configured(tmp_path):
    options = {'train_cfg.non_finite': 'skip'}
    train(config(4, 9, **options), str(tmp_path / 'a'), hooks=[Poison()])
    state = read_checkpoint(tmp_path / 'a' / 'iter_4.pth')['state_dict']
    assert all(value.isfinite().all() for value in state.values() if value.is_floating_point())
    options |= {'train_cfg.max_skips': 0}
    with pytest.raises(UserError, match='Iteration 3'):
        train(config(4, 9, **options), str(tmp_path / 'b'), hooks=[Poison()])


def test_nan_is_the_worst_value():
    for rule, better in (('greater', 2.0), ('less', 0.0)):
        hook = ResumableCheckpointHook(rule=rule)
        assert not hook._is_better(math.nan, None) and not hook._is_better(math.nan, 1.0)
        assert hook._is_better(1.0, None)
        assert hook._is_better(1.0, math.nan)
        assert hook._is_better(better, 1.0)
