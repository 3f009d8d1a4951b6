"""A config without a validation trains."""

from pathlib import Path

import pytest

from openmagvit2.config import load_config
from openmagvit2.errors import UserError
from openmagvit2.workflows.test import test as run_test
from openmagvit2.workflows.train import train

CONFIG = Path(__file__).parents[2] / 'configs' / 'tiny' / 'ar_32.py'


@pytest.mark.parametrize('absent', [('dataloader', 'evaluator'), ('dataloader',), ('evaluator',)])
def test_a_training_without_images_or_metrics_to_validate_with(tmp_path, absent):
    options = {
        'train_cfg.max_iters': 2,
        'train_cfg.val_interval': 1,
        'global_batch_size': 4,
        **{f'val_{key}': None for key in absent},
    }
    runner = train(load_config(CONFIG, options), str(tmp_path))
    assert runner.iter == 2 and runner.val_loop is None
    assert (tmp_path / 'iter_2.pth').is_file() and not (tmp_path / 'metrics.json').exists()
    # The merged config of the folder works like the original.
    again = load_config(tmp_path / 'ar_32.py')
    with pytest.raises(UserError, match='has nothing to test: set test_dataloader'):
        run_test(again, str(tmp_path / 'iter_2.pth'), str(tmp_path / 'test'))
