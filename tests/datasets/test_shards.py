"""Tar shards, written by the tests."""

import io
import itertools
import json
import logging
import tarfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from openmagvit2.checkpoint import read_checkpoint
from openmagvit2.config import load_config
from openmagvit2.datasets import TarShards, streams
from openmagvit2.datasets import shards as module
from openmagvit2.workflows.train import train

CONFIG = Path(__file__).parents[2] / 'configs' / 'tiny' / 'lfq_32.py'


def write(path: Path, files: dict[str, bytes]) -> None:
    with tarfile.open(path, 'w') as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def png(value: int, size: int = 32) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((size, size, 3), value, np.uint8)).save(file, 'PNG')
    return file.getvalue()


@pytest.fixture
def folder(tmp_path):
    """Four shards of five images with a constant value: 10 * shard + number."""
    for shard in range(4):
        files = {
            f'{shard}_{i}.{ending}': content
            for i in range(5)
            for ending, content in (('jpg', png(10 * shard + i)), ('txt', b'caption'))
        }
        write(tmp_path / f'{shard:03d}.tar', files)
    return tmp_path


def values(dataset: TarShards, count: int) -> list[int]:
    return [int(sample['image'][0, 0, 0]) for sample in itertools.islice(dataset, count)]


EVERYTHING = sorted(10 * shard + i for shard in range(4) for i in range(5))


def test_passes_hold_each_sample_once_and_differ(folder):
    dataset = TarShards(urls=str(folder), resampled=False, shuffle=1)
    seen = values(dataset, 40)
    assert sorted(seen[:20]) == sorted(seen[20:]) == EVERYTHING
    assert seen[:20] != seen[20:]
    assert values(dataset, 40) == seen
    dataset.seek(20)
    assert values(dataset, 20) != seen[:20]


def as_rank(monkeypatch, rank: int, world: int) -> None:
    monkeypatch.setattr(module, 'get_dist_info', lambda: (rank, world))


def test_readers_share_the_shards_out(folder, monkeypatch):
    parts = []
    for rank in range(2):
        as_rank(monkeypatch, rank, 2)
        parts.append(set(values(TarShards(urls=str(folder), resampled=False, shuffle=1), 10)))
    assert not parts[0] & parts[1] and sorted(parts[0] | parts[1]) == EVERYTHING
    as_rank(monkeypatch, 0, 5)
    with pytest.raises(ValueError, match='4 shards cannot be distributed over 5 readers'):
        values(TarShards(urls=str(folder), resampled=False), 1)


@pytest.mark.parametrize('method', ['fork', 'spawn'])
def test_workers_read_the_part_of_their_process_however_they_start(folder, monkeypatch, method):
    as_rank(monkeypatch, 1, 2)
    monkeypatch.setattr(streams, 'get_dist_info', lambda: (1, 2))
    stream = TarShards(urls=str(folder), resampled=False, shuffle=1)
    loader = torch.utils.data.DataLoader(
        stream, batch_size=5, num_workers=1, multiprocessing_context=method
    )
    seen = torch.cat([batch['image'][:, 0, 0, 0] for batch in itertools.islice(loader, 2)])
    assert seen.tolist() == values(stream, 10)


def test_loader_workers_share_too(folder):
    loader = torch.utils.data.DataLoader(
        TarShards(urls=str(folder), resampled=False, shuffle=1), batch_size=5, num_workers=2
    )
    seen = torch.cat([batch['image'][:, 0, 0, 0] for batch in itertools.islice(loader, 4)]).tolist()
    assert sorted(seen) == EVERYTHING


def test_resampled_readers_take_parts_of_one_order(folder, monkeypatch):
    """Return the shards of a stream with shuffle=1, from which five samples each are drawn."""
    urls = str(folder / '{000..003}.tar')

    def shards(rank: int, world: int, count: int) -> list[int]:
        as_rank(monkeypatch, rank, world)
        return [value // 10 for value in values(TarShards(urls=urls, shuffle=1), 5 * count)[::5]]

    whole = shards(0, 1, 200)
    # Of all epochs of four draws with replacement, 4! / 4^4 = 9% contain all four shards.
    passes = [set(whole[i : i + 4]) for i in range(0, 200, 4)]
    assert 0 < sum(len(each) == 4 for each in passes) < 15
    assert [whole.count(shard) for shard in range(4)] == pytest.approx([50] * 4, abs=20)
    assert shards(0, 2, 100) == whole[::2] and shards(1, 2, 100) == whole[1::2]
    assert len(shards(4, 5, 20)) == 20


def test_keys_and_skipped_names(folder):
    (folder / 'skip.json').write_text(json.dumps(['0_0', '3_4']))
    seen = values(TarShards(urls=str(folder), resampled=False, skip=str(folder / 'skip.json')), 18)
    # The buffer of 1,000 mixes epochs, so only the set is certain.
    assert not {0, 34} & set(seen)
    write(folder / 'other.tar', {'a.jpeg.jpg': png(1), 'b.jpeg.jpg': png(2)})
    assert set(
        values(TarShards(urls=[str(folder / 'other.tar')], keys=('jpeg.jpg',), shuffle=1), 4)
    ) <= {1, 2}
    # The first of `keys` that a sample has.
    write(folder / 'both.tar', {'a.png': png(3), 'a.webp': png(4), 'b.png': png(5)})
    assert values(
        TarShards(urls=[str(folder / 'both.tar')], keys=('webp', 'png'), shuffle=1), 2
    ) == [4, 5]
    (folder / 'skip.txt').write_text('a\n')
    assert (
        values(
            TarShards(urls=[str(folder / 'both.tar')], skip=str(folder / 'skip.txt'), shuffle=1), 3
        )
        == [5] * 3
    )


def test_shard_without_a_key(folder, monkeypatch):
    logged = []
    monkeypatch.setattr(module, 'print_log', lambda text, logger, level: logged.append(text))
    with pytest.raises(
        ValueError, match=r'\d.tar has no sample with an extension of webp; correct `keys`'
    ):
        values(TarShards(urls=str(folder), keys=('webp',)), 1)
    assert not logged
    write(folder / 'some.tar', {'a.txt': b'', 'b.png': png(1), 'c.gif': b'', 'd.png': png(2)})
    assert values(TarShards(urls=[str(folder / 'some.tar')], keys=('png',), shuffle=1), 3) == [
        1,
        2,
        1,
    ]
    assert len(logged) == 1
    assert (
        'some.tar: a and 1 more there cannot be read (no extension of png); 2 so far in reader 0'
        in logged[0]
    )


def test_unreadable_samples_are_named(folder, monkeypatch):
    logged = []
    monkeypatch.setattr(
        module, 'print_log', lambda text, logger, level: logged.append((text, level))
    )
    write(
        folder / 'broken.tar',
        {'good.png': png(7), 'bad.png': png(8)[:40], 'text.jpg': b'<html>', 'last.png': png(9)},
    )
    assert values(TarShards(urls=[str(folder / 'broken.tar')], resampled=False, shuffle=1), 4) == [
        7,
        9,
        7,
        9,
    ]
    assert [text.partition('broken.tar: ')[2].split(' ')[0] for text, _ in logged] == [
        'bad',
        'text',
    ] * 2
    assert logged[-1][0].endswith(
        'cannot be read (no image format that Pillow knows); 4 so far in reader 0.'
    )
    # mmengine drops anything below an error in all processes but the first.
    assert {level for _, level in logged} == {logging.ERROR}
    # Inside the content of the third of ten files.
    cut = (folder / '000.tar').read_bytes()
    (folder / 'cut.tar').write_bytes(cut[: 5 * 512 + 100])
    logged.clear()
    values(TarShards(urls=[str(folder / 'cut.tar')], resampled=False, shuffle=1), 2)
    assert any('the rest of shard' in text and 'cut.tar' in text for text, _ in logged)


def test_nothing_readable_is_an_error_not_an_endless_loop(folder, monkeypatch):
    monkeypatch.setattr(module, 'print_log', lambda *_: None)
    monkeypatch.setattr(streams, 'MAX_UNREADABLE', 20)
    write(folder / 'bad.tar', {f'{i}.png': b'bad' for i in range(7)})
    with pytest.raises(
        ValueError, match='the last 20 samples could not be read, such as .*bad.tar: 5; correct'
    ):
        values(TarShards(urls=[str(folder / 'bad.tar')], shuffle=1), 1)
    (folder / 'none.tar').write_bytes(b'<html>' * 1000)
    with pytest.raises(ValueError, match='nothing in .*none.tar can be read'):
        values(TarShards(urls=[str(folder / 'none.tar')]), 1)


def test_streams_have_no_labels(folder):
    dataset = TarShards(urls=str(folder))
    assert dataset.num_classes is None and next(iter(dataset))['label'] == -1
    assert 'so the training is unconditional' in dataset.check_model(
        SimpleNamespace(num_classes=10)
    )
    assert dataset.check_model(SimpleNamespace()) is None


def test_lists_of_names_to_skip(folder):
    (folder / 'skip.txt').write_bytes(b'\xef\xbb\xbf0_0\r\n3_4  \r\n\r\n')
    (folder / 'skip.json').write_bytes(b'\xef\xbb\xbf["0_0", "3_4"]')
    for name in ('skip.txt', 'skip.json'):
        assert TarShards(urls=str(folder), skip=str(folder / name)).skip == {'0_0', '3_4'}
    for content, message in ((b'{', 'is not JSON'), (b'{"0_0": 1}', 'must hold a list of names')):
        (folder / 'skip.json').write_bytes(content)
        with pytest.raises(ValueError, match=message):
            TarShards(urls=str(folder), skip=str(folder / 'skip.json'))


def test_mistakes(tmp_path):
    with pytest.raises(ValueError, match=r'no \*.tar in'):
        TarShards(urls=str(tmp_path))
    with pytest.raises(
        ValueError, match='nothing.tar does not exist; name a folder or files in OPENMAGVIT2_SHARDS'
    ):
        TarShards(urls=str(tmp_path / 'nothing.tar'))


def test_training_from_shards(folder, tmp_path):
    dataset = dict(
        _delete_=True,
        type='TarShards',
        urls=str(folder),
        pipeline=[dict(type='Resize', size=32)],
        shuffle=4,
    )
    options = {
        'train_dataloader.dataset': dataset,
        'train_dataloader.sampler': None,
        'global_batch_size': 4,
        'train_cfg.max_iters': 3,
        # mmengine asks for the length of the data set when it builds a loop.
        'param_scheduler': [
            dict(type='WarmupDecayLR', warmup=1, by_epoch=False),
            dict(type='MultiStepLR', milestones=[2], end=5, by_epoch=False),
        ],
        'val_dataloader.dataset.num_images': 4,
    }
    train(load_config(CONFIG, options), str(tmp_path / 'run'))
    assert read_checkpoint(tmp_path / 'run' / 'iter_3.pth')['meta']['iter'] == 3
    options |= {'train_cfg.max_iters': 5}
    train(load_config(CONFIG, options), str(tmp_path / 'run'), resume=True)
    assert read_checkpoint(tmp_path / 'run' / 'iter_5.pth')['meta']['iter'] == 5
    wrong = options | {'train_dataloader.sampler': dict(type='ResumableInfiniteSampler')}
    with pytest.raises(
        ValueError, match='endless stream: training on it needs train_dataloader.sampler=None'
    ):
        train(load_config(CONFIG, wrong), str(tmp_path / 'other'))
    options |= {
        'train_cfg.max_epochs': 2,
        'train_cfg.max_iters': None,
    }
    with pytest.raises(ValueError, match='TarShards has no epochs; set train_cfg.max_iters'):
        train(load_config(CONFIG, options), str(tmp_path / 'other'))
