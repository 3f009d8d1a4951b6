"""Token caches: training like on images, killed runs, several views, and mistakes."""

import errno
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from plot import read_curves

from openmagvit2.apis import Generator, init_model
from openmagvit2.checkpoint import write_checkpoint
from openmagvit2.config import load_config
from openmagvit2.datasets import FashionMNIST, TokenCache
from openmagvit2.workflows.crops import views_of
from openmagvit2.workflows.test import test as run_test
from openmagvit2.workflows.tokenize import tokenize
from openmagvit2.workflows.train import train

ROOT = Path(__file__).parents[2]
TINY = ROOT / 'configs' / 'tiny'


def test_training_from_tokens_and_from_images_is_the_same(checkpoint, tmp_path):
    images = {'train_dataloader.dataset.num_images': 64}
    header = tokenize(
        load_config(TINY / 'lfq_32.py', images), str(checkpoint), tmp_path / 'tokens', block=25
    )
    assert (header['num_images'], header['num_views'], header['grid'], header['dtype']) == (
        64,
        1,
        [8, 8],
        'uint8',
    )
    common = {
        'model.tokenizer.checkpoint': str(checkpoint),
        'default_hooks.logger.interval': 1,
        'custom_hooks': [],
        # Until the second epoch.
        'train_cfg.max_iters': 6,
        'train_cfg.val_interval': None,
        'val_dataloader.dataset.num_images': 4,
    }
    train(load_config(TINY / 'ar_32.py', common | images), str(tmp_path / 'images'))
    cache = dict(_delete_=True, type='TokenCache', data_root=str(tmp_path / 'tokens'))
    cached = common | {'train_dataloader.dataset': cache}
    train(load_config(TINY / 'ar_32.py', cached), str(tmp_path / 'cached'))
    a, b = (list(read_curves(tmp_path / way)['loss'].values()) for way in ('images', 'cached'))
    assert len(a) == 6 and b == pytest.approx(a, rel=1e-6)
    assert a[0] > a[-1]


def test_another_tokenizer_is_refused(checkpoint, tmp_path):
    tokenize(
        load_config(TINY / 'lfq_32.py', {'train_dataloader.dataset.num_images': 20}),
        str(checkpoint),
        tmp_path / 'tokens',
    )
    cache = dict(_delete_=True, type='TokenCache', data_root=str(tmp_path / 'tokens'))
    options = {
        'train_dataloader.dataset': cache,
        'model.tokenizer.seed': 5,
    }
    with pytest.raises(ValueError, match='was made by another tokenizer'):
        train(load_config(TINY / 'ar_32.py', options), str(tmp_path / 'run'))
    with pytest.raises(
        ValueError, match=r'holds tokens with other settings \(num_images, recipe\)'
    ):
        tokenize(
            load_config(TINY / 'lfq_32.py', {'train_dataloader.dataset.num_images': 21}),
            str(checkpoint),
            tmp_path / 'tokens',
        )
    with pytest.raises(ValueError, match='no header.json'):
        TokenCache(data_root=str(tmp_path))


def test_mistakes_leave_nothing_behind(checkpoint, tmp_path):
    (tmp_path / 'file').touch()
    config = load_config(TINY / 'lfq_32.py', {'train_dataloader.dataset.num_images': 20})
    with pytest.raises(ValueError, match='--batch-size must be at least 1, got 0'):
        tokenize(config, str(checkpoint), tmp_path / 'tokens', batch_size=0)
    with pytest.raises(ValueError, match='tokens is not writable'):
        tokenize(config, str(checkpoint), tmp_path / 'file' / 'tokens')
    with pytest.raises(ValueError, match='run is not writable'):
        train(load_config(TINY / 'ar_32.py'), str(tmp_path / 'file' / 'run'))
    assert [path.name for path in tmp_path.iterdir()] == ['file']


def test_evaluation_refuses_another_tokenizer_too(checkpoint, tmp_path):
    lfq = load_config(TINY / 'lfq_32.py', {'val_dataloader.dataset.num_images': 20})
    tokenize(lfq, str(checkpoint), tmp_path / 'tokens', split='val')
    cache = {
        'val_dataloader.dataset': dict(
            _delete_=True, type='TokenCache', data_root=str(tmp_path / 'tokens')
        )
    }
    values = {}
    for name, options in (('images', {'val_dataloader.dataset.num_images': 20}), ('cached', cache)):
        options |= {'model.tokenizer.checkpoint': str(checkpoint)}
        config = load_config(TINY / 'ar_32.py', options)
        if name == 'images':
            model = init_model(config)
            model.init_weights()
            write_checkpoint(dict(state_dict=model.state_dict()), tmp_path / 'ar.pth')
        values[name] = run_test(config, str(tmp_path / 'ar.pth'), str(tmp_path / name))
    assert values['cached'] == pytest.approx(values['images'], rel=1e-6)
    other = init_model(TINY / 'ar_32.py', cfg_options={'model.tokenizer.seed': 5})
    write_checkpoint(dict(state_dict=other.state_dict()), tmp_path / 'other.pth')
    with pytest.raises(ValueError, match='was made by another tokenizer'):
        run_test(config, str(tmp_path / 'other.pth'), str(tmp_path / 'other'))


def test_damaged_caches(checkpoint, tmp_path):
    config = load_config(TINY / 'lfq_32.py', {'train_dataloader.dataset.num_images': 20})
    out = tmp_path / 'tokens'
    tokenize(config, str(checkpoint), out)
    whole = {
        name: (out / name).read_bytes() for name in ('tokens.bin', 'labels.npy', 'header.json')
    }
    for name, content, message in (
        ('tokens.bin', whole['tokens.bin'][:-1], 'tokens.bin has 1279 of 1280 bytes'),
        ('labels.npy', b'', 'labels.npy has 0 of 288 bytes'),
        ('header.json', whole['header.json'][:50], 'header.json cannot be read'),
        (
            'header.json',
            whole['header.json'].replace(b'"format": 1', b'"format": 2'),
            'not a header of format 1',
        ),
    ):
        (out / name).write_bytes(content)
        for use in (
            lambda: TokenCache(data_root=str(out)),
            lambda: tokenize(config, str(checkpoint), out),
        ):
            with pytest.raises(ValueError, match=message):
                use()
        (out / name).write_bytes(whole[name])
    # Killed between the end and the removal of the marks; nothing is computed again.
    (out / '.block-000000').write_text('done')
    before = (out / 'tokens.bin').stat().st_mtime_ns
    assert tokenize(config, str(checkpoint), out)['finished']
    assert {path.name: path.read_bytes() for path in out.iterdir()} == whole
    assert (out / 'tokens.bin').stat().st_mtime_ns == before


def test_streams_have_no_tokens(checkpoint, tmp_path):
    with tarfile.open(tmp_path / '0.tar', 'w'):
        pass
    shards = dict(_delete_=True, type='TarShards', urls=str(tmp_path))
    message = (
        'train_dataloader.dataset: tokenizing needs images that can be read by index, '
        'which TarShards does not have'
    )
    with pytest.raises(ValueError, match=message):
        tokenize(
            load_config(TINY / 'lfq_32.py', {'train_dataloader.dataset': shards}),
            str(checkpoint),
            tmp_path / 'tokens',
        )


def test_views(checkpoint, tmp_path):
    pipeline = [
        dict(type='Pad', size=40),
        dict(type='RandomCrop', size=32),
        dict(type='RandomFlip'),
    ]
    options = {
        'train_dataloader.dataset.num_images': 12,
        'train_dataloader.dataset.pipeline': pipeline,
    }
    config = load_config(TINY / 'lfq_32.py', options)
    header = tokenize(config, str(checkpoint), tmp_path / 'ten', crops='ten')
    assert header['num_views'] == 10
    cache = TokenCache(data_root=str(tmp_path / 'ten'))
    assert len({cache[3, epoch]['indices'].numpy().tobytes() for epoch in range(40)}) > 5
    assert cache[3, 1]['indices'].equal(
        TokenCache(data_root=str(tmp_path / 'ten'))[3, 1]['indices']
    )
    assert (
        tokenize(config, str(checkpoint), tmp_path / 'random', crops='random:3', flip=True)[
            'num_views'
        ]
        == 6
    )
    assert [steps[1]['type'] for steps, _ in views_of(pipeline, 'center', False)] == ['CenterCrop']
    with pytest.raises(ValueError, match='--crops must be'):
        views_of(pipeline, 'random:x', False)


def test_the_former_spelling_of_center(checkpoint, tmp_path):
    """Caches and commands of earlier versions say 'centre'."""
    config = load_config(TINY / 'lfq_32.py', {'train_dataloader.dataset.num_images': 20})
    tokenize(config, str(checkpoint), tmp_path)
    header = tmp_path / 'header.json'
    header.write_text(header.read_text().replace('"crops": "center"', '"crops": "centre"'))
    old = header.read_text()
    assert '"centre"' in old
    for crops in ('center', 'centre'):
        assert tokenize(config, str(checkpoint), tmp_path, crops=crops)['finished']
    assert header.read_text() == old


def test_labels_and_names_of_classes(checkpoint, tmp_path):
    """Class names are passed from the images through the cache to the checkpoint of a generator."""
    out, classes = tmp_path / 'tokens', FashionMNIST.classes
    images = {'train_dataloader.dataset.num_images': 20}
    tokenize(load_config(TINY / 'lfq_32.py', images), str(checkpoint), out)
    cache = TokenCache(data_root=str(out))
    assert cache.num_classes == 10 and cache.metainfo == dict(classes=classes)
    tokens = {
        'train_dataloader.dataset': dict(_delete_=True, type='TokenCache', data_root=str(out))
    }
    for name, data in dict(images=images, tokens=tokens).items():
        options = {
            'model.tokenizer.checkpoint': str(checkpoint),
            'global_batch_size': 4,
            'train_cfg.max_iters': 1,
        }
        options |= {
            'val_dataloader.dataset.num_images': 4,
            'custom_hooks': [],
        } | data
        config = load_config(TINY / 'ar_32.py', options)
        train(config, str(tmp_path / name))
        assert Generator.from_config(config, tmp_path / name / 'iter_1.pth').class_names == classes
    assert Generator.from_config(TINY / 'ar_32.py').class_names is None
    np.save(out / 'labels.npy', np.array([*cache.labels[:19], 13]))
    generator = init_model(config)
    generator.init_weights()
    message = rf'^TokenCache: image 19 of {out} has the label 13, .* set model.*num_classes=14'
    with pytest.raises(ValueError, match=message):
        TokenCache(data_root=str(out)).check_model(generator)


def test_images_that_have_changed_and_a_full_disk(checkpoint, tmp_path, monkeypatch):
    folder = tmp_path / 'images'
    folder.mkdir()
    for i in range(3):
        Image.new('RGB', (40, 40), (80 * i, 0, 0)).save(folder / f'{i}.png')
    (tmp_path / 'photos.py').write_text(PHOTOS.format(base=TINY / 'lfq_32.py', folder=folder))
    config = load_config(tmp_path / 'photos.py')
    tokenize(config, str(checkpoint), tmp_path / 'out')
    assert tokenize(config, str(checkpoint), tmp_path / 'out')['finished']
    Image.new('RGB', (40, 40), (0, 99, 0)).save(folder / '1.png')
    with pytest.raises(ValueError, match='holds tokens of images that have changed since'):
        tokenize(config, str(checkpoint), tmp_path / 'out')

    def full(*args):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(os, 'posix_fallocate', full)
    with pytest.raises(
        ValueError, match=r'tokens.bin cannot be written: 192 bytes are needed \(No space'
    ):
        tokenize(config, str(checkpoint), tmp_path / 'full')
    assert not list((tmp_path / 'full').iterdir())


@pytest.mark.parametrize('value', [float('nan'), float('-inf')])
def test_a_damaged_encoder_makes_no_tokens(value, tmp_path):
    model = init_model(TINY / 'lfq_32.py')
    list(model.encoder.parameters())[-1].data[0] = value
    path = tmp_path / 'damaged.pth'
    write_checkpoint(dict(state_dict=model.state_dict()), path)
    config = load_config(TINY / 'lfq_32.py', {'train_dataloader.dataset.num_images': 20})
    message = rf'NaN or infinity for images 0 to 7 with the weights of {path}: the weights'
    with pytest.raises(ValueError, match=message):
        tokenize(config, str(path), tmp_path / 'tokens', batch_size=8)
    generator = init_model(TINY / 'ar_32.py', cfg_options={'model.tokenizer.checkpoint': str(path)})
    message = rf'model.tokenizer.checkpoint: Checkpoint {path}: encoder\..* has NaN or infinite'
    with pytest.raises(ValueError, match=message):
        generator.init_weights()
    # The next start does not consider the files finished.
    with pytest.raises(ValueError, match='NaN or infinity'):
        tokenize(config, str(path), tmp_path / 'tokens', batch_size=8)


PHOTOS = """
_base_ = '{base}'
train_dataloader = dict(dataset=dict(_delete_=True, type='ImageFolder', data_root='{folder}',
    on_error='skip', pipeline=[
    dict(type='Resize', size=36), dict(type='RandomCrop', size=32)]))
"""
