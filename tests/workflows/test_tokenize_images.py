"""Tokens of image folders: labels, and sizes that do not match."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from openmagvit2.apis import init_model
from openmagvit2.checkpoint import write_checkpoint
from openmagvit2.config import load_config
from openmagvit2.errors import UserError
from openmagvit2.workflows.tokenize import tokenize

ROOT = Path(__file__).parents[2]


@pytest.fixture
def config(tmp_path):
    for i, (height, width) in enumerate([(32, 40), (32, 40), (64, 32)]):
        (tmp_path / 'photos').mkdir(exist_ok=True)
        Image.new('RGB', (width, height), (i, i, i)).save(tmp_path / 'photos' / f'{i}.png')
    write_checkpoint(dict(state_dict=init_model('tiny/lfq_32').state_dict()), tmp_path / 'x.pth')

    def with_pipeline(pipeline: list):
        dataset = dict(type='ImageFolder', data_root=str(tmp_path / 'photos'), pipeline=pipeline)
        options = {'train_dataloader.dataset': dict(dataset, _delete_=True)}
        return load_config(ROOT / 'configs' / 'tiny' / 'lfq_32.py', options)

    return with_pipeline


def test_images_without_labels(config, tmp_path):
    header = tokenize(
        config([dict(type='Resize', size=[32, 24])]), tmp_path / 'x.pth', tmp_path / 'out'
    )
    assert header['grid'] == [8, 6] and header['classes'] is None
    assert np.load(tmp_path / 'out' / 'labels.npy').tolist() == [-1, -1, -1]


@pytest.mark.parametrize('batch_size', [1, 3])
def test_sizes_that_differ(config, tmp_path, batch_size):
    message = 'Image 2 of the data set is 64x32, but the first is 32x40; tokens need one size'
    with pytest.raises(UserError, match=message):
        tokenize(config([]), tmp_path / 'x.pth', tmp_path / 'out', batch_size=batch_size)
