"""On resume, a changed setting takes effect and is logged in one line, or is refused by name."""

from pathlib import Path

import pytest
from test_run_folder import config

from openmagvit2.checkpoint import read_checkpoint
from openmagvit2.engine.optim.schedule import factor
from openmagvit2.engine.resume.changes import differences, read_settings
from openmagvit2.workflows.train import train

CURVE = {'param_scheduler': [dict(type='WarmupDecayLR', by_epoch=False, shape='linear')]}


@pytest.fixture(scope='module')
def half(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('half')
    train(config(2, param_scheduler=CURVE['param_scheduler']), str(folder))
    return folder / 'iter_2.pth'


def resumed(half: Path, tmp_path: Path, iterations: int = 4, **options) -> dict:
    options = CURVE | options
    train(config(iterations, **options), str(tmp_path), resume=str(half))
    return read_checkpoint(tmp_path / f'iter_{iterations}.pth')


def test_the_config_wins(half, tmp_path, capfd):
    role = 'optim_wrapper.autoencoder.optimizer'
    options = {
        f'{role}.lr': 1e-4,
        f'{role}.betas': (0.8, 0.95),
        f'{role}.weight_decay': 0.01,
        'global_batch_size': 8,
    }
    content = resumed(half, tmp_path, 5, **options)
    (group,) = content['optimizer']['autoencoder']['param_groups']
    assert tuple(group['betas']) == (0.8, 0.95)
    assert group['weight_decay'] == 0.01
    assert group['initial_lr'] == 1e-4
    # The learning rate after the fifth step of a curve of five.
    assert group['lr'] == pytest.approx(1e-4 * factor(5, 5, 0, 0, 0, 0, 'linear'))
    # Two batches of 4, three of 8.
    assert content['meta']['samples_seen'] == 32
    logged = capfd.readouterr()
    for line in (
        f'resume: {role}.lr=0.0001 replaces 0.001.',
        'global_batch_size=8 replaces 4.',
        'max_iters=5 replaces',
    ):
        assert line in logged.out + logged.err


def test_equal_is_finished_and_fewer_is_an_error(half, tmp_path, capfd):
    before = read_checkpoint(half)['state_dict']
    after = resumed(half, tmp_path, 2)['state_dict']
    assert all(before[key].equal(after[key]) for key in before)
    assert 'The training is finished: 2 of 2 iterations are done' in ''.join(capfd.readouterr())
    with pytest.raises(ValueError, match=r'train_cfg.max_iters=1: the checkpoint has 2 iterations'):
        resumed(half, tmp_path / 'fewer', 1)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'seed': 7}, 'seed=7: the training began with 0'),
        (
            {
                'optim_wrapper.autoencoder.optimizer.type': 'SGD',
                'optim_wrapper.autoencoder.optimizer.betas': None,
            },
            'type=SGD',
        ),
        ({'param_scheduler': None}, 'param_scheduler: 0 for autoencoder, the checkpoint has 1'),
        (
            {'train_cfg.max_iters': None, 'train_cfg.max_epochs': 1, 'global_batch_size': 8},
            'global_batch_size=8 instead of 4',
        ),
    ],
)
def test_what_is_refused(half, tmp_path, options, message):
    options = dict(options)
    if 'optim_wrapper.autoencoder.optimizer.type' in options:
        options = {'optim_wrapper.autoencoder.optimizer': dict(_delete_=True, type='SGD', lr=0.1)}
    with pytest.raises(ValueError, match=message):
        resumed(half, tmp_path, **options)


def test_other_groups_of_parameters_are_refused(half, tmp_path):
    other = config(4, **CURVE)
    other.optim_wrapper.autoencoder.no_decay_1d = True
    with pytest.raises(ValueError, match='set no_decay_1d and no_decay as before'):
        train(other, str(tmp_path), resume=str(half))


def test_texts_are_read_without_executing_them():
    old = read_settings("a = dict(b=[1, dict(c=(2, 3))], d='x')\nwork_dir = 'y'\nopen('z')")
    assert old == dict(a=dict(b=[1, dict(c=[2, 3])], d='x'), work_dir='y')
    assert read_settings('a = (') == {}
    new = read_settings("a = dict(b=[1, dict(c=(2, 4))], e=open('z'))")
    assert differences(old, new) == [
        'a.b.1.c.1=4 replaces 3.',
        "a.d=None replaces 'x'.",
        'a.e="open(\'z\')" replaces None.',
    ]
