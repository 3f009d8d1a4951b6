"""Tokenizing starts loader workers once, and several processes write byte ranges."""

from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader
from two_processes import run_in_two

from openmagvit2.apis import init_model
from openmagvit2.checkpoint import write_checkpoint
from openmagvit2.config import load_config
from openmagvit2.datasets import TokenCache
from openmagvit2.datasets.views import ViewBatches
from openmagvit2.models.quantizers.base import BaseQuantizer, QuantizerOutput
from openmagvit2.models.tokenizers import VisualTokenizer
from openmagvit2.registry import DATASETS, METRICS
from openmagvit2.workflows.tokenize import tokenize

FILES = ('tokens.bin', 'labels.npy', 'header.json')


def config(images: int, size: int = 24):
    options = {'train_dataloader.dataset.num_images': images}
    options['train_dataloader.dataset.pipeline'] = [dict(type='CenterCrop', size=size)]
    return load_config(Path(__file__).parents[2] / 'configs' / 'tiny' / 'lfq_32.py', options)


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp('tokenizer') / 'x.pth'
    write_checkpoint(dict(state_dict=init_model('tiny/lfq_32').state_dict()), path)
    return str(path)


def test_workers_start_once(checkpoint, tmp_path, monkeypatch):
    """Workers do not start for each block and view, because starting may take long."""
    starts = []
    start = DataLoader.__iter__
    monkeypatch.setattr(
        DataLoader, '__iter__', lambda loader: starts.append(loader.num_workers) or start(loader)
    )
    made = tokenize(config(2100, 8), checkpoint, tmp_path / 'a', flip=True, num_workers=2)
    assert (made['num_images'], made['num_views'], starts) == (2100, 2, [2])
    # Finished, so nothing is read.
    tokenize(config(2100, 8), checkpoint, tmp_path / 'a', flip=True, num_workers=2)
    assert starts == [2]


def test_marks_without_a_header_stand_for_nothing(checkpoint, tmp_path):
    tokenize(config(30, 8), checkpoint, tmp_path / 'a', block=10)
    tokenize(config(30, 8), checkpoint, tmp_path / 'b', block=10)
    (tmp_path / 'b' / 'header.json').unlink()
    (tmp_path / 'b' / '.block-000001').write_text('done\n')
    tokenize(config(30, 8), checkpoint, tmp_path / 'b', block=10)
    for name in FILES:
        assert (tmp_path / 'a' / name).read_bytes() == (tmp_path / 'b' / name).read_bytes()


def test_random_crops_have_the_seed_of_the_training(checkpoint, tmp_path):
    made = config(4, 8)
    made.pop('seed', None)
    made.randomness = dict(seed=7)
    header = tokenize(made, checkpoint, tmp_path / 'a', crops='random:2')
    assert header['recipe']['dataset']['seed'] == 7


def test_batches_hold_one_view_of_one_block():
    batches = ViewBatches([range(0, 5), range(10, 12)], num_views=2, batch_size=3)
    assert len(batches) == 6
    assert list(batches) == [
        [(0, 0), (0, 1), (0, 2)],
        [(0, 3), (0, 4)],
        [(1, 0), (1, 1), (1, 2)],
        [(1, 3), (1, 4)],
        [(0, 10), (0, 11)],
        [(1, 10), (1, 11)],
    ]


@pytest.mark.skipif(not Path('/proc/self/maps').exists(), reason='needs the maps of a process')
def test_no_file_is_mapped(checkpoint, tmp_path, monkeypatch):
    """Pages that two machines map would be lost at the borders of their blocks."""
    maps = []
    encode = VisualTokenizer.encode

    def watched(model, image):
        maps.append(Path('/proc/self/maps').read_text())
        return encode(model, image)

    monkeypatch.setattr(VisualTokenizer, 'encode', watched)
    tokenize(config(6, 8), checkpoint, tmp_path / 'a', batch_size=2)
    assert len(maps) == 3 and not any(str(tmp_path / 'a') in text for text in maps)


class TwoBits(BaseQuantizer):
    """Signs of two channels, each with a codebook of two codes."""

    in_channels, code_dim, codebook_sizes = 2, 2, (2, 2)

    def quantize(self, z):
        indices = (z > 0).long().movedim(1, -1)
        return QuantizerOutput(self.indices_to_codes(indices), indices)

    def indices_to_codes(self, indices):
        return indices.movedim(-1, 1) * 2.0 - 1


def test_several_codebooks_have_an_axis(tmp_path):
    """Tokens and usage of a quantizer without ``codebook_size``."""
    made = config(6, 8)
    made.model.quantizer = dict(type=TwoBits)
    torch.manual_seed(0)
    model = init_model(made)
    write_checkpoint(dict(state_dict=model.state_dict()), tmp_path / 'x.pth')
    header = tokenize(made, str(tmp_path / 'x.pth'), tmp_path / 'a')
    assert (header['grid'], header['codebook_size'], header['dtype']) == (
        [2, 2, 2],
        [2, 2],
        'uint8',
    )
    cache, images = (
        TokenCache(data_root=str(tmp_path / 'a')),
        DATASETS.build(made.train_dataloader.dataset),
    )
    image = torch.stack([images[i]['image'] for i in range(6)])
    (sample,) = model.eval().val_step(dict(image=image))
    indices = torch.stack([cache[i]['indices'] for i in range(6)])
    assert indices.equal(sample['indices']) and indices.unique().tolist() == [0, 1]
    metric = METRICS.build(dict(type='CodebookUsage'))
    metric.process({}, [sample])
    assert metric.evaluate(6)['usage_1'] == len(indices[..., 1].unique()) / 2


def _tokenize(rank: int, folder: str, checkpoint: str) -> None:
    tokenize(config(44), checkpoint, f'{folder}/two', flip=True, batch_size=3, block=5)


@pytest.mark.slow
@pytest.mark.smoke
def test_two_processes_write_blocks_in_turn(checkpoint, tmp_path):
    """Nine blocks of 5 x 2 x 36 bytes, none at a page border."""
    run_in_two(_tokenize, tmp_path, checkpoint)
    tokenize(
        config(44), checkpoint, tmp_path / 'one', flip=True, batch_size=3, block=5, num_workers=2
    )
    for name in FILES:
        one, two = (tmp_path / folder / name for folder in ('one', 'two'))
        assert one.read_bytes() == two.read_bytes(), name
    assert sorted(path.name for path in (tmp_path / 'two').iterdir()) == sorted(FILES)
