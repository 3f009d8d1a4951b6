"""Estimates and pictures during training do not change it."""

from pathlib import Path

import torch

from openmagvit2.checkpoint import read_checkpoint
from openmagvit2.config import load_config
from openmagvit2.workflows.train import train
from quickstart_lib.hooks import LivePictureHook, PaceHook
from quickstart_lib.plan import Pace, Plan, Stage

CONFIG = Path(__file__).parents[2] / 'configs' / 'tiny' / 'lfq_32.py'


def weights(work_dir, hooks=()) -> dict:
    options = {
        'train_cfg.max_iters': 4,
        'train_cfg.val_interval': None,
        'global_batch_size': 4,
        'optim_wrapper.dtype': 'float32',
    }
    train(
        load_config(CONFIG, options),
        str(work_dir),
        hooks=hooks,
    )
    return read_checkpoint(work_dir / 'iter_4.pth')['state_dict']


def test_a_training_with_pictures_ends_bit_for_bit_as_one_without(tmp_path):
    drawn = []

    def draw(model, done, steps):
        torch.rand(3)
        drawn.append((model.training, done, steps))

    plain, watched = (
        weights(tmp_path / 'plain'),
        weights(tmp_path / 'watched', [LivePictureHook(draw, first=0.0, every=0.0)]),
    )
    assert drawn == [(False, done, 4) for done in (1, 2, 3, 4)]
    assert plain.keys() == watched.keys()
    for name, value in plain.items():
        assert torch.equal(value, watched[name]), name


def test_a_late_stage_is_reported_once_with_its_cause(tmp_path, capsys):
    # A step cannot be as fast as a microsecond.
    pace = Pace(Plan(None, 50.0, dict(tokenizer=Stage(4, 1e-6))), announced=1e-3)
    weights(tmp_path, [PaceHook(pace, 'tokenizer', steps=2)])
    lines = [line for line in capsys.readouterr().out.splitlines() if 'a step in' in line]
    assert len(lines) == 1
    assert 's a step in float32: about ' in lines[0]
    assert 'where 0.001 were expected. Likely cause: ' in lines[0]
