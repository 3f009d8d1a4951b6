"""The masked and the next-scale generator through the tools: training and sampling."""

import json
import math
import runpy
import sys
from pathlib import Path

import pytest

from openmagvit2.apis import Generator
from openmagvit2.config import load_config
from openmagvit2.workflows.train import train

ROOT = Path(__file__).parents[2]
TINY = ROOT / 'configs' / 'tiny'
# Rows of the first distribution, and settings of samples.
SLICES = {
    'maskgit_32': (256 + 11, dict(steps=4)),
    'titok_ar_32': (256, dict(steps=4)),
    'var_32': (64, dict(guidance=2.5, schedule='linear', top_k=50)),
}


@pytest.mark.slow
@pytest.mark.smoke
@pytest.mark.parametrize('name', SLICES)
def test_a_training_and_samples(name, tmp_path, monkeypatch):
    rows, sampling = SLICES[name]
    config = load_config(TINY / f'{name}.py', {'default_hooks.logger.interval': 1})
    train(config, str(tmp_path / 'run'))
    (log,) = (tmp_path / 'run').glob('*/vis_data/scalars.json')
    losses = [json.loads(line).get('loss') for line in log.read_text().splitlines()]
    losses = [loss for loss in losses if loss is not None]
    assert losses[0] == pytest.approx(math.log(rows), abs=0.3)
    assert losses[-1] < losses[0] - 0.2
    checkpoint = tmp_path / 'run' / 'iter_20.pth'
    generator = Generator.from_config(config, checkpoint)
    images = generator.sample([0, 1, 1], seed=1, **sampling)
    assert images.shape == (3, 32, 32, 3)
    folder = tmp_path / 'samples'
    arguments = [
        TINY / f'{name}.py',
        checkpoint,
        '--labels',
        '0-1',
        '--num',
        2,
        '--out-dir',
        folder,
    ]
    monkeypatch.setattr(sys, 'argv', ['sample.py', *map(str, arguments)])
    assert runpy.run_path(str(ROOT / 'tools' / 'sample.py'))['main']() in (None, 0)
    assert len(list(folder.glob('class_*/*.png'))) == 4
