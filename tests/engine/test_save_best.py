"""The best checkpoint by a metric of the validation."""

from pathlib import Path

import pytest
from mmengine.evaluator import BaseMetric

from openmagvit2.apis.running import train
from openmagvit2.checkpoint import read_checkpoint
from openmagvit2.config import load_config
from openmagvit2.registry import METRICS

CONFIG = Path(__file__).parents[2] / 'configs' / 'tiny' / 'lfq_32.py'


@METRICS.register_module()
class Scripted(BaseMetric):
    """Gives 3, 5, 4 in turn."""

    default_prefix = ''
    values = [3.0, 5.0, 4.0]

    def process(self, data_batch, data_samples) -> None:
        self.results.append(0)

    def compute_metrics(self, results) -> dict:
        return dict(score=type(self).values.pop(0))


@pytest.mark.parametrize(('rule', 'best'), [('greater', 2), ('less', 1)])
def test_the_best_stays(tmp_path, rule, best):
    Scripted.values = [3.0, 5.0, 4.0]
    options = {
        'train_cfg.max_iters': 3,
        'train_cfg.val_interval': 1,
        'global_batch_size': 4,
        'default_hooks.checkpoint.save_best': 'score',
        'default_hooks.checkpoint.rule': rule,
        'val_evaluator': [dict(type='Scripted')],
        'val_dataloader.dataset.num_images': 10,
        'experiment_name': tmp_path.name,
    }
    train(load_config(CONFIG, options), str(tmp_path))
    assert read_checkpoint(tmp_path / 'best_score.pth')['meta']['iter'] == best
    assert 'ema_state_dict' in read_checkpoint(tmp_path / 'best_score.pth')


def test_a_metric_that_is_not_there(tmp_path):
    options = {'train_cfg.max_iters': 1, 'default_hooks.checkpoint.save_best': 'fid', 'experiment_name': tmp_path.name}
    with pytest.raises(ValueError, match="save_best='fid': the validation has psnr"):
        train(load_config(CONFIG, options), str(tmp_path))
