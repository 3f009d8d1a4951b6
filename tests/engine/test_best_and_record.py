"""The checkpoint that is best by a validation metric, and the record of the last validation."""

import json
from pathlib import Path

import pytest
from mmengine.evaluator import BaseMetric

from openmagvit2.checkpoint import read_checkpoint, write_checkpoint
from openmagvit2.config import load_config
from openmagvit2.registry import METRICS
from openmagvit2.workflows.test import test as run_test
from openmagvit2.workflows.train import train

CONFIG = Path(__file__).parents[2] / 'configs' / 'tiny' / 'lfq_32.py'


@METRICS.register_module()
class Scripted(BaseMetric):
    """Return 3, 5 and 4 in turn."""

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
    }
    train(load_config(CONFIG, options), str(tmp_path))
    assert read_checkpoint(tmp_path / 'best_score.pth')['meta']['iter'] == best
    assert 'ema_state_dict' in read_checkpoint(tmp_path / 'best_score.pth')


def test_the_record_of_a_training_is_that_of_its_checkpoint(tmp_path):
    options = {
        'train_cfg.max_iters': 3,
        'train_cfg.val_interval': 2,
        'global_batch_size': 4,
        'val_evaluator': [dict(type='PSNR', protocol='official'), dict(type='CodebookUsage')],
        'val_dataloader.dataset.num_images': 10,
    }
    config = load_config(CONFIG, options)
    train(config, str(tmp_path / 'a'))
    ours = json.loads((tmp_path / 'a' / 'metrics.json').read_text())
    run_test(config, str(tmp_path / 'a' / 'iter_3.pth'), str(tmp_path / 'b'))
    theirs = json.loads((tmp_path / 'b' / 'metrics.json').read_text())
    averaged = ours.pop('checkpoint'), theirs.pop('checkpoint')
    assert averaged[0] == dict(
        iteration=3, averaged=True, weights_sha256=averaged[1]['weights_sha256']
    )
    assert averaged[1]['averaged']
    # A test does not know the compute type of the training.
    assert ours.pop('precision')['training'].keys() == {'autoencoder', 'discriminator'}
    assert not theirs.pop('precision')['training']
    assert ours == theirs and ours['images'] == 10 and ours['metrics'].keys() >= {'psnr', 'usage'}
    assert ours['protocol'][0].startswith('PSNR: official')
    assert ours['dataset']['type'] == 'FashionMNIST'
    # A test in the folder of the checkpoint keeps the merged config of the training.
    merged = (tmp_path / 'a' / 'lfq_32.py').read_text()
    config.val_dataloader.dataset.num_images = 7
    run_test(config, str(tmp_path / 'a' / 'iter_3.pth'), str(tmp_path / 'a'))
    assert json.loads((tmp_path / 'a' / 'metrics.json').read_text())['images'] == 7
    assert (tmp_path / 'a' / 'lfq_32.py').read_text() == merged
    assert 'num_images=10' in (tmp_path / 'b' / 'lfq_32.py').read_text()
    # Other weights, here the raw ones of the same file, have another hash.
    raw = {'state_dict': read_checkpoint(tmp_path / 'a' / 'iter_3.pth')['state_dict']}
    write_checkpoint(raw, tmp_path / 'raw.pth')
    run_test(config, str(tmp_path / 'raw.pth'), str(tmp_path / 'c'))
    other = json.loads((tmp_path / 'c' / 'metrics.json').read_text())['checkpoint']
    assert other['weights_sha256'] != averaged[0]['weights_sha256'] and not other['averaged']


def test_a_metric_that_is_not_there(tmp_path):
    options = {
        'train_cfg.max_iters': 1,
        'default_hooks.checkpoint.save_best': 'fid',
    }
    with pytest.raises(ValueError, match="save_best='fid': the validation has psnr"):
        train(load_config(CONFIG, options), str(tmp_path))
