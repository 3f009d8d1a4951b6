"""Table 4's columns of a tiny generator equal those measured on a file of the same samples."""

import json
from pathlib import Path

import numpy as np
import pytest
import tiny_classifier  # noqa: F401  (registers PixelClassifier)
import torch
from two_processes import run_in_two

from openmagvit2.apis import init_model
from openmagvit2.checkpoint import write_checkpoint
from openmagvit2.config import load_config
from openmagvit2.errors import UserError
from openmagvit2.evaluation.features import TimmFeatures
from openmagvit2.evaluation.metrics import SampleInceptionScore
from openmagvit2.models.generators import AutoregressiveGenerator
from openmagvit2.registry import FEATURES, METRICS, MODELS
from openmagvit2.workflows.compare import Generated, compare_sets
from openmagvit2.workflows.test import test as measure

# 16 tokens per image.
SMALL = "_base_ = ['{base}']\nmodel = dict(image_size=16)\n"


@pytest.fixture
def files(tmp_path):
    torch.manual_seed(0)
    (tmp_path / 'ar_16.py').write_text(SMALL.format(base=Path('configs/tiny/ar_32.py').resolve()))
    model = init_model(tmp_path / 'ar_16.py')
    for classifier in model.head.classifiers:
        torch.nn.init.normal_(classifier.weight, 0, 0.5)
    write_checkpoint(dict(state_dict=model.state_dict()), tmp_path / 'model.pth')
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (12, 16, 16, 3), dtype=np.uint8)
    np.savez(tmp_path / 'reference.npz', arr_0=images)
    torch.save(TimmFeatures().network.state_dict(), tmp_path / 'network.pth')
    return tmp_path


@MODELS.register_module()
class DoubleGenerator(AutoregressiveGenerator):
    """A generator and its tokenizer in float64, whose draws and pixels do not depend on the batch
    or the number of threads through rounding.
    """

    def __init__(self, **parts):
        super().__init__(**parts)
        self.double()


@FEATURES.register_module()
class DoubleFeatures(TimmFeatures):
    """A network in float64, whose features do not depend on the batch through rounding."""

    def load_weights(self) -> None:
        super().load_weights()
        self.double()


def features(folder) -> dict:
    return dict(type='DoubleFeatures', weights=str(folder / 'network.pth'), size=64)


def configured(folder, generator='AutoregressiveGenerator'):
    network, reference = features(folder), str(folder / 'reference.npz')
    parts = [
        dict(type='SampleFrechet', features=network, reference=reference),
        dict(type='SampleInceptionScore', features=network),
        dict(type='SamplePrecisionRecall', features=network, reference=reference),
    ]
    loop = dict(type='GenerationLoop', num_per_class=2, batch_size=7, seed=3)
    # It is never built, because the test uses no data set.
    images = dict(type='ImageNet', data_root='nowhere', split='val')
    loader = dict(batch_size=1, dataset=images, sampler=dict(type='DefaultSampler'))
    options = dict(test_evaluator=parts, test_cfg=loop, test_dataloader=loader)
    options['model.type'] = generator
    return load_config(folder / 'ar_16.py', options)


def test_columns(files, capfd):
    values = measure(configured(files), str(files / 'model.pth'), str(files / 'work'))
    sampled = Generated(files / 'ar_16.py', files / 'model.pth', num_per_class=2, seed=3)
    settings = dict(features=features(files), batch_size=7)
    expected = compare_sets(sampled, files / 'reference.npz', **settings).values
    assert values == pytest.approx(expected, rel=1e-6) and len(values) == 5
    assert '20 samples in 1 process(es): the first batch took' in capfd.readouterr().out
    record = json.loads((files / 'work' / 'metrics.json').read_text())
    assert record['images'] == 20 and record['dataset'] is None
    assert record['samples'] == dict(
        num_per_class=2, labels=10, seed=3, sampling=dict(guidance=2.0)
    )
    assert sum('reference.npz' in text for text in record['protocol']) == 2


def test_rejection_and_drawn_labels_measure_the_same_in_both_tools(files):
    network = dict(type='PixelClassifier', classes=10, seed=1)
    rejection = dict(type='PixelClassifier', classes=10, keep=0.5)
    config, reference = configured(files), str(files / 'reference.npz')
    config.test_evaluator = [dict(type='SampleFrechet', features=network, reference=reference)]
    config.test_cfg = dict(type='GenerationLoop', num_per_class=1, labels='random', seed=3)
    config.eval_rejection = rejection
    values = measure(config, str(files / 'model.pth'), str(files / 'work'))
    sampled = Generated(
        files / 'ar_16.py',
        files / 'model.pth',
        num_per_class=1,
        seed=3,
        drawn=True,
        rejection=rejection,
    )
    expected = compare_sets(sampled, reference, features=network)
    assert values['fd_pixel_classifier'] == pytest.approx(
        expected.values['fd_pixel_classifier'], rel=1e-6
    )
    record = json.loads((files / 'work' / 'metrics.json').read_text())['samples']
    assert record['labels'] == expected.samples['labels'] == 'random'
    assert record['rejection'] == expected.samples['rejection']
    assert record['rejection']['keep'] == 0.5


def _two(rank: int, folder: str) -> None:
    files = Path(folder)
    config = configured(files, 'DoubleGenerator')
    values = measure(config, str(files / 'model.pth'), str(files / 'two'), launcher='pytorch')
    (files / f'values_{rank}.json').write_text(json.dumps(values))


@pytest.mark.slow
@pytest.mark.smoke
def test_two_processes_share_the_samples(files):
    config = configured(files, 'DoubleGenerator')
    values = measure(config, str(files / 'model.pth'), str(files / 'one'))
    run_in_two(_two, files)
    for rank in range(2):
        other = json.loads((files / f'values_{rank}.json').read_text())
        assert other == pytest.approx(values, rel=1e-6)


def test_inception_score_of_splits_in_any_order(files):
    """Compare with the definition per split; batches contain samples of two splits."""
    metric = SampleInceptionScore(features=features(files), split_size=4)
    logits = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))
    metric.outputs = lambda sample: dict(logits=logits[sample['places']])
    for places in ([5, 2, 3], [0, 4], [1]):
        metric.update(dict(places=torch.tensor(places), count=6))
    scores = []
    for part in (logits[:4], logits[4:]):
        p = part.double().softmax(1).numpy()
        scores.append(np.exp((p * np.log(p / p.mean(0))).sum(1).mean()))
    out = metric.evaluate(0)
    assert out['inception_score'] == pytest.approx(np.mean(scores), rel=1e-12)
    assert out['inception_score_std'] == pytest.approx(np.std(scores), rel=1e-12)


def test_the_former_spelling_of_neighbors(files):
    for key in ('neighbors', 'neighbours'):
        config = dict(type='SamplePrecisionRecall', features=features(files))
        metric = METRICS.build(config | {key: 5})
        assert metric.neighbors == 5 and metric.statement().endswith('; neighbor 5')


def test_full_size_configs_name_reference_and_number():
    for name in ('ar_b_256', 'ar_l_256', 'ar_xl_256'):
        config = load_config(f'configs/{name}.py')
        kinds = [part['type'] for part in config.test_evaluator]
        assert kinds == ['SampleFrechet', 'SampleInceptionScore', 'SamplePrecisionRecall']
        assert config.test_cfg == dict(type='GenerationLoop', num_per_class=50)
        assert all(
            'VIRTUAL_imagenet256_labeled.npz' in part['reference']
            for part in config.test_evaluator
            if 'reference' in METRICS.get(part['type']).__init__.__kwdefaults__
        )
    for name in ('tiny/ar_32', 'quickstart/ar_28'):
        config = load_config(f'configs/{name}.py')
        assert 'test_cfg' not in config and len(config.val_evaluator) == 1


def test_mistakes(files):
    config, checkpoint = load_config(files / 'ar_16.py'), str(files / 'model.pth')
    with pytest.raises(UserError, match='Some of the metrics measure samples and others a data'):
        measure(config, checkpoint, str(files / 'work'), metrics=['nll', 'fid'])
    with pytest.raises(UserError, match='--size is for metrics of a data set'):
        measure(configured(files), checkpoint, str(files / 'work'), size=64)
    config = configured(files)
    config.test_evaluator[0].reference = None
    with pytest.raises(UserError, match='^SampleFrechet needs a reference'):
        measure(config, checkpoint, str(files / 'work'))
    dim = TimmFeatures().dim
    np.savez(files / 'statistics.npz', mu=np.zeros(dim), sigma=np.eye(dim))
    config.test_evaluator = [
        config.test_evaluator[2] | dict(reference=str(files / 'statistics.npz'))
    ]
    with pytest.raises(UserError, match='SamplePrecisionRecall compares images'):
        measure(config, checkpoint, str(files / 'work'))
    assert not (files / 'work').exists()
