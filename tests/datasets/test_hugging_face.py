"""Parquet files as indexed data sets and as streams, with the package ``datasets``."""

import io
import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from openmagvit2.checkpoint import read_checkpoint
from openmagvit2.config import load_config
from openmagvit2.datasets import HFDataset, HFStream, streams
from openmagvit2.datasets import hugging_face_stream as module
from openmagvit2.errors import UserError
from openmagvit2.workflows.train import train

datasets = pytest.importorskip('datasets', reason='needs pip install "openmagvit2[hf]"')
pa = pytest.importorskip('pyarrow')
parquet = pytest.importorskip('pyarrow.parquet')
CONFIG = Path(__file__).parents[2] / 'configs' / 'tiny' / 'lfq_32.py'


@pytest.fixture(autouse=True)
def own_cache_of_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, 'HF_DATASETS_CACHE', str(tmp_path / 'cache'))


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, 'PNG')
    return file.getvalue()


def write(path: Path, images: list[bytes], **columns) -> None:
    parquet.write_table(pa.table(dict(image=images, **columns)), path)


@pytest.fixture
def folder(tmp_path):
    """Two files of 6 images with a constant value: 10 * file + number."""
    for file in range(2):
        values = [10 * file + i for i in range(6)]
        images = [png(np.full((8, 8, 3), value, np.uint8)) for value in values]
        write(tmp_path / f'{file}.parquet', images, label=[value % 4 for value in values])
    return tmp_path


def test_rows_by_number(folder):
    dataset = HFDataset(path=str(folder))
    assert len(dataset) == 12 and dataset.num_classes is None
    values = [dataset[i]['image'][0, 0, 0].item() for i in range(12)]
    assert values == [*range(6), *range(10, 16)]
    assert dataset.all_labels().tolist() == [value % 4 for value in values]
    assert dataset[7]['label'] == 3 and HFDataset(path=str(folder), label=None)[7]['label'] == -1
    assert dataset.fingerprint() == HFDataset(path=str(folder / '*.parquet')).fingerprint()
    one = HFDataset(path=str(folder / '1.parquet'))
    assert one.fingerprint() != dataset.fingerprint() and len(one) == 6


def test_images_and_classes_of_the_package(tmp_path):
    """A file as the package itself writes it, with features in its metadata."""
    features = datasets.Features(
        picture=datasets.Image(), kind=datasets.ClassLabel(names=['cat', 'dog'])
    )
    pictures = [Image.fromarray(np.full((8, 8), value, np.uint8)) for value in (3, 200)]
    rows = datasets.Dataset.from_dict(dict(picture=pictures, kind=[1, 0]), features=features)
    rows.to_parquet(str(tmp_path / 'a.parquet'))
    for kind in (HFDataset, HFStream):
        dataset = kind(path=str(tmp_path), image='picture', label='kind')
        assert dataset.classes == ['cat', 'dog'] and dataset.num_classes == 2
    dataset = HFDataset(path=str(tmp_path), image='picture', label='kind')
    assert [(dataset[i]['image'].max().item(), dataset[i]['label']) for i in range(2)] == [
        (3, 1),
        (200, 0),
    ]


def test_mistakes(folder, tmp_path, monkeypatch):
    for options, text in (
        (dict(path=str(folder / 'nothing')), 'there is no parquet file; correct `path`'),
        (dict(path=str(folder), image='picture'), "no column 'picture', but image, label"),
    ):
        for kind in (HFDataset, HFStream):
            with pytest.raises(ValueError, match=text):
                kind(**options)
    with pytest.raises(ValueError, match='row 0 of .* holds int instead of encoded images'):
        HFDataset(path=str(folder), image='label', label=None)[0]
    (folder / 'odd').mkdir()
    write(
        folder / 'odd' / '2.parquet', [png(np.zeros((8, 8, 3), np.uint8))[:30], b''], label=[0, 1]
    )
    dataset = HFDataset(path=str(folder / 'odd' / '2.parquet'))
    with pytest.raises(ValueError, match='Image row 0 of .*2.parquet cannot be read'):
        dataset[0]
    with pytest.raises(ValueError, match='the row does not hold the bytes of an image; remove'):
        dataset[1]
    secret = tmp_path / 'secret.png'
    secret.write_bytes(png(np.zeros((8, 8, 3), np.uint8)))
    write(tmp_path / 'odd' / 'path.parquet', [dict(bytes=None, path=str(secret))], label=[0])
    with pytest.raises(ValueError, match='the row does not hold the bytes of an image'):
        HFDataset(path=str(tmp_path / 'odd' / 'path.parquet'))[0]
    monkeypatch.setattr(streams, 'MAX_UNREADABLE', 4)
    with pytest.raises(ValueError, match='the last 4 rows could not be read'):
        next(iter(HFStream(path=str(folder / 'odd' / '2.parquet'))))


@pytest.mark.parametrize(
    ('labels', 'message'),
    [
        (['0', 'a'], "row 0 of .* holds '0' instead of an integer"),
        ([0.5, 1.5], 'row 0 of .* holds 0.5 instead of an integer'),
        (pa.array([0, 1], pa.timestamp('s')), 'row 0 of .*datetime.* instead of an integer'),
        (pa.array([0, 2**63], pa.uint64()), 'row 1 of .* holds 9223372036854775808 instead of'),
    ],
)
def test_labels_that_are_no_classes(tmp_path, labels, message):
    write(tmp_path / 'a.parquet', [png(np.zeros((8, 8, 3), np.uint8))] * 2, label=labels)
    with pytest.raises(UserError, match=message):
        HFDataset(path=str(tmp_path)).all_labels()
    with pytest.raises(UserError, match=message):
        values(HFStream(path=str(tmp_path), shuffle=1), 2)


def test_damaged_and_unequal_files(folder):
    """The package only says that "an error occurred", or raises pyarrow's errors."""
    path = folder / '1.parquet'
    content = path.read_bytes()
    path.write_bytes(content[:10] + bytes(60) + content[70:])
    for name, use in (
        ('HFDataset: .* cannot be loaded: Corrupt', lambda: HFDataset(path=str(folder))),
        (
            'HFStream: file 1 of .* cannot be read: Corrupt',
            lambda: values(HFStream(path=str(folder), shuffle=1), 12),
        ),
    ):
        with pytest.raises(UserError, match=name):
            use()
    write(path, [png(np.zeros((8, 8, 3), np.uint8))], label=['a'])
    with pytest.raises(UserError, match='cannot be loaded: Failed to parse string'):
        HFDataset(path=str(folder))
    with pytest.raises(UserError, match='file 1 of .* cannot be read: Failed to parse string'):
        values(HFStream(path=str(folder), shuffle=1), 12)
    parquet.write_table(pa.table(dict(image=pa.array([], pa.binary()))), path)
    with pytest.raises(UserError, match='cannot be loaded'):
        HFDataset(path=str(path), label=None)


def values(stream: HFStream, count: int) -> list[int]:
    return [sample['image'][0, 0, 0].item() for sample in itertools.islice(stream, count)]


def test_a_stream_has_each_row_once_in_a_pass_and_goes_on(folder):
    def stream() -> HFStream:
        return HFStream(path=str(folder), shuffle=4, seed=3)

    seen = values(stream(), 36)
    passes = [seen[:12], seen[12:24], seen[24:]]
    assert all(sorted(one) == [*range(6), *range(10, 16)] for one in passes)
    assert passes[0] != passes[1] != passes[2]
    for start in (1, 12, 17):
        later = stream()
        later.seek(start)
        assert values(later, 36 - start) == seen[start:]


def test_readers_share_the_rows_and_go_on(folder, monkeypatch):
    """Each of two processes has half of the rows: whole files, or every second row."""
    for path in (folder, folder / '0.parquet'):
        halves = []
        for rank in range(2):
            monkeypatch.setattr(module, 'get_dist_info', lambda rank=rank: (rank, 2))
            stream = HFStream(path=str(path), shuffle=1)
            halves.append(values(stream, 6))
            stream.seek(4)
            assert values(stream, 4) == halves[-1][2:]
        assert not set(halves[0][:3]) & set(halves[1][:3])


def test_loader_workers_go_on_with_the_batch_whose_turn_it_is(folder):
    def batches(start: int, count: int) -> list[list[int]]:
        stream = HFStream(path=str(folder), shuffle=3)
        stream.set_batch(2)
        stream.seek(2 * start)
        loader = torch.utils.data.DataLoader(stream, batch_size=2, num_workers=2)
        return [b['image'][:, 0, 0, 0].tolist() for b in itertools.islice(loader, count)]

    whole = batches(0, 9)
    assert batches(3, 6) == whole[3:]


@pytest.fixture
def two_hundred(tmp_path):
    rng = np.random.default_rng(0)
    images = [png(rng.integers(0, 256, (32, 32, 3), np.uint8)) for _ in range(200)]
    write(tmp_path / 'train.parquet', images, label=[i % 10 for i in range(200)])
    return tmp_path / 'train.parquet'


@pytest.mark.slow
@pytest.mark.parametrize('kind', [pytest.param('HFDataset', marks=pytest.mark.smoke), 'HFStream'])
def test_two_hundred_images_train_and_resume_bit_for_bit(two_hundred, tmp_path, kind):
    dataset = dict(
        _delete_=True,
        type=kind,
        path=str(two_hundred),
        pipeline=[dict(type='RandomCrop', size=16), dict(type='RandomFlip')],
    )
    options = {
        'train_dataloader.dataset': dataset,
        'train_dataloader.sampler': None
        if kind == 'HFStream'
        else dict(type='ResumableInfiniteSampler'),
        'global_batch_size': 4,
        'val_dataloader': None,
        'val_evaluator': None,
        'optim_wrapper.dtype': 'float32',
        'default_hooks.checkpoint.interval': 2,
    }
    for folder, steps, resume in (('whole', 4, False), ('parts', 2, False), ('parts', 4, True)):
        config = load_config(CONFIG, options | {'train_cfg.max_iters': steps})
        train(config, str(tmp_path / folder), resume=resume)
    whole, parts = (read_checkpoint(tmp_path / f / 'iter_4.pth') for f in ('whole', 'parts'))
    for name, value in whole['state_dict'].items():
        assert torch.equal(value, parts['state_dict'][name]), name
    assert not torch.equal(
        whole['state_dict']['encoder.conv_in.weight'],
        read_checkpoint(tmp_path / 'parts' / 'iter_2.pth')['state_dict']['encoder.conv_in.weight'],
    )
