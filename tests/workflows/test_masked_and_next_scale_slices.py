"""The masked and the next-scale generator through the tools: training and sampling."""

import math
from pathlib import Path

import pytest
from plot import read_curves

from openmagvit2.apis import Generator
from openmagvit2.config import load_config
from openmagvit2.workflows.train import train

TINY = Path(__file__).parents[2] / 'configs' / 'tiny'
# Rows of the first distribution, and settings of samples.
SLICES = {
    'maskgit_32': (256 + 11, dict(steps=4)),
    'titok_ar_32': (256, dict(steps=4)),
    'var_32': (64, dict(guidance=2.5, schedule='linear', top_k=50)),
}


@pytest.mark.slow
@pytest.mark.smoke
@pytest.mark.parametrize('name', SLICES)
def test_a_training_and_samples(name, tmp_path, tool):
    rows, sampling = SLICES[name]
    config = load_config(TINY / f'{name}.py', {'default_hooks.logger.interval': 1})
    train(config, str(tmp_path / 'run'))
    losses = list(read_curves(tmp_path / 'run')['loss'].values())
    assert losses[0] == pytest.approx(math.log(rows), abs=0.3)
    assert losses[-1] < losses[0] - 0.2
    checkpoint = tmp_path / 'run' / 'iter_20.pth'
    generator = Generator.from_config(config, checkpoint)
    images = generator.sample([0, 1, 1], seed=1, **sampling)
    assert images.shape == (3, 32, 32, 3)
    folder = tmp_path / 'samples'
    options = ['--labels', '0-1', '--num', 2, '--out-dir', folder]
    assert tool('sample', TINY / f'{name}.py', checkpoint, *options)[0] == 0
    assert len(list(folder.glob('class_*/*.png'))) == 4
