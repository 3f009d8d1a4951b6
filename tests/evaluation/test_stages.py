"""Metrics for the other kind of model are rejected before anything is built or written."""

from pathlib import Path

import pytest
import torch

from openmagvit2.apis import init_model
from openmagvit2.checkpoint import write_checkpoint
from openmagvit2.config import load_config
from openmagvit2.evaluation.names import SHORT_NAMES
from openmagvit2.evaluation.stages import check_stages
from openmagvit2.registry import METRICS
from openmagvit2.workflows.test import test as run_test
from openmagvit2.workflows.train import train

TINY = Path(__file__).parents[2] / 'configs' / 'tiny'
GENERATION = ('nll', 'fid', 'precision_recall', 'is')
RECONSTRUCTION = [name for name in SHORT_NAMES if name not in GENERATION]


def test_every_metric_says_what_it_measures():
    stages = {name: METRICS.get(metric['type']).stage for name, metric in SHORT_NAMES.items()}
    assert stages == dict.fromkeys(RECONSTRUCTION, 'tokenizer') | dict.fromkeys(
        GENERATION, 'generator'
    )


@pytest.mark.parametrize(
    ('name', 'metrics', 'message'),
    [
        (
            'ar_32',
            ['psnr'],
            r'^psnr needs a tokenizer; .*ar_32\.py is of a generator, which has nll, fid',
        ),
        ('ar_32', ['nll', 'usage'], '^usage needs a tokenizer'),
        (
            'lfq_32',
            ['nll'],
            (
                r'^nll needs a generator; .*lfq_32\.py is of a tokenizer, which has psnr, ssim, '
                r'usage, lpips_alex'
            ),
        ),
    ],
)
def test_a_test_ends_before_it_begins(name, metrics, message, tmp_path):
    torch.manual_seed(0)
    write_checkpoint(
        dict(state_dict=init_model(TINY / f'{name}.py').state_dict()), tmp_path / 'x.pth'
    )
    config = load_config(TINY / f'{name}.py')
    with pytest.raises(ValueError, match=message):
        run_test(config, str(tmp_path / 'x.pth'), str(tmp_path / 'run'), metrics=metrics)
    assert [path.name for path in tmp_path.iterdir()] == ['x.pth']


def test_a_training_ends_before_it_begins(tmp_path):
    config = load_config(TINY / 'lfq_32.py')
    config.val_evaluator = [dict(type='NegativeLogLikelihood')]
    with pytest.raises(ValueError, match='^nll needs a generator'):
        train(config, str(tmp_path / 'run'))
    assert not list(tmp_path.iterdir())


def test_parts_of_other_packages_pass():
    check_stages([dict(type=dict), dict(type='Unknown')], dict(type='VisualTokenizer'), 'x.py')
    check_stages([dict(type='PSNR')], dict(type=torch.nn.Module), 'x.py')
