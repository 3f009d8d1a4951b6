"""Files made to do harm: the table of SECURITY.md, row by row.

Each payload would leave a file behind; none may, and each is refused in one sentence that names the
file, or its harmful part is not looked at.
"""

import gzip
import io
import json
import pickle
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from openmagvit2.checkpoint import read_checkpoint
from openmagvit2.checkpoint.lpips import load_lpips
from openmagvit2.datasets import token_files as tokens
from openmagvit2.datasets.tokens import TokenCache
from openmagvit2.errors import UserError
from openmagvit2.evaluation.features.inception import FIDInception
from openmagvit2.evaluation.features.timm_network import TimmFeatures
from openmagvit2.evaluation.images import ImageSet
from openmagvit2.evaluation.statistics_files import _kept_moments, read_statistics
from openmagvit2.workflows.sample import _merge


class Payload:
    """Makes a file when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return open, (str(self.target), 'w')


@pytest.fixture
def target(tmp_path):
    """What a payload would make; checked at the end of the test."""
    path = tmp_path / 'executed'
    yield path
    assert not path.exists(), 'the payload ran'


def test_the_payload_would_run(tmp_path):
    pickle.loads(pickle.dumps(Payload(tmp_path / 'control')))
    assert (tmp_path / 'control').exists()


@pytest.mark.parametrize('protocol', range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize('ending', ['pth', 'ckpt', 'pt', 'bin', 'safetensors'])
def test_bare_pickles(tmp_path, target, ending, protocol):
    path = tmp_path / f'a.{ending}'
    path.write_bytes(pickle.dumps(dict(state_dict=Payload(target)), protocol))
    with pytest.raises(UserError, match=f'a.{ending} cannot be read safely'):
        read_checkpoint(path)


@pytest.mark.parametrize('new', [True, False], ids=['zip', 'old format'])
@pytest.mark.parametrize('where', ['state_dict', 'meta', 'message_hub'])
def test_files_of_torch_save(tmp_path, target, where, new):
    content = dict(state_dict=dict(a=torch.ones(1))) | {where: Payload(target)}
    torch.save(content, tmp_path / 'a.pth', _use_new_zipfile_serialization=new)
    with pytest.raises(UserError, match='a.pth cannot be read safely'):
        read_checkpoint(tmp_path / 'a.pth')


def test_torchscript(tmp_path):
    """A .jit archive holds code; it is not run, and is no checkpoint."""
    path = tmp_path / 'a.pth'
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('a/constants.pkl', b'\x80\x02N.')
        archive.writestr('a/data.pkl', b'\x80\x02c__torch__\nNet\n)R.')
        archive.writestr('a/code/__torch__.py', 'open("executed", "w")')
        archive.writestr('a/version', '3\n')
    with pytest.raises(UserError, match='a.pth'):
        read_checkpoint(path)


def object_array(path: Path, target: Path, **others: np.ndarray) -> Path:
    array = np.empty(2, dtype=object)
    array[:] = [Payload(target), 0]
    np.savez(path, arr_0=array, **others)
    return path


def test_npz_of_images_with_objects(tmp_path, target):
    with pytest.raises(UserError, match='a.npz: arr_0 holds pickled objects'):
        ImageSet(object_array(tmp_path / 'a.npz', target))


@pytest.mark.parametrize('name', ['mu', 'sigma'])
def test_npz_of_statistics_with_objects(tmp_path, target, name):
    array = np.empty(2, dtype=object)
    array[:] = [Payload(target), 0]
    arrays = dict(mu=np.zeros(2), sigma=np.eye(2)) | {name: array}
    np.savez(tmp_path / 'a.npz', **arrays)
    with pytest.raises(UserError, match='a.npz is not a readable npz'):
        read_statistics(tmp_path / 'a.npz', 2)


@pytest.fixture
def cache(tmp_path) -> Path:
    """A token cache of two images."""
    header = dict(format=1, num_images=2, num_views=1, grid=[1], dtype='uint8', finished=True)
    header |= dict(codebook_size=256, classes=None, tokenizer=dict(checkpoint='a.pth'))
    header |= dict(tokenizer_hash='0')
    (tmp_path / tokens.HEADER).write_text(json.dumps(header))
    (tmp_path / tokens.TOKENS).write_bytes(b'ab')
    np.save(tmp_path / tokens.LABELS, np.array([0, 1]))
    assert TokenCache(data_root=str(tmp_path)).all_labels().tolist() == [0, 1]
    return tmp_path


def test_labels_of_a_token_cache_with_objects(cache, target):
    array = np.empty(2, dtype=object)
    array[:] = [Payload(target), 0]
    np.save(cache / tokens.LABELS, array)
    # As long as the header wants them.
    content = (cache / tokens.LABELS).read_bytes()
    (cache / tokens.LABELS).write_bytes(content[:144].ljust(144, b'\0'))
    with pytest.raises(UserError, match='labels.npy cannot be read'):
        TokenCache(data_root=str(cache))


def test_labels_that_say_they_are_large(cache):
    with open(cache / tokens.LABELS, 'wb') as file:
        header = dict(descr='<i8', fortran_order=False, shape=(10**12,))
        np.lib.format.write_array_header_1_0(file, header)
        file.write(b'\0' * 16)
    with pytest.raises(UserError, match='labels.npy cannot be read'):
        TokenCache(data_root=str(cache))


@pytest.mark.parametrize(
    'change',
    [
        dict(dtype='O'),
        dict(dtype='float64'),
        dict(grid=['1']),
        dict(grid=3),
        dict(grid=[-1, -1]),
        dict(num_images=True),
        dict(num_views=1e300),
        dict(finished='no'),
        dict(classes=5),
        dict(classes='ab'),
        dict(classes=[1]),
        dict(tokenizer='a.pth'),
        dict(tokenizer_hash=None),
        dict(codebook_size=0),
        dict(codebook_size=[2, 10**30]),
        dict(codebook_size=[2, 2]),
    ],
)
def test_headers_of_a_token_cache(cache, change):
    header = json.loads((cache / tokens.HEADER).read_text())
    (cache / tokens.HEADER).write_text(json.dumps(header | change))
    with pytest.raises(UserError, match='header.json is damaged'):
        TokenCache(data_root=str(cache))


@pytest.mark.parametrize(
    ('content', 'sizes', 'wrong'), [(b'a\xff', 255, '255'), (b'\x05\0\x06\x02', [6, 2], '6')]
)
def test_tokens_beyond_their_codebook(cache, content, sizes, wrong):
    """An index that no table has would end a training in torch, on a card without a word."""
    header = json.loads((cache / tokens.HEADER).read_text())
    header |= dict(codebook_size=sizes, grid=[len(content) // 2])
    (cache / tokens.HEADER).write_text(json.dumps(header))
    (cache / tokens.TOKENS).write_bytes(content)
    data = TokenCache(data_root=str(cache))
    assert data[0]['indices'].tolist() == list(content[: len(content) // 2])
    with pytest.raises(UserError, match=f'image 1 of .* has the token {wrong}, but its codebook'):
        data[1]


def test_a_header_without_a_bottom(cache):
    (cache / tokens.HEADER).write_text('[' * 200_000)
    with pytest.raises(UserError, match='header.json cannot be read'):
        TokenCache(data_root=str(cache))


@pytest.mark.parametrize(
    'load',
    [
        lambda path: load_lpips('alex', 'weights', path),
        lambda path: FIDInception(weights=path).load_weights(),
        lambda path: TimmFeatures(weights=path).load_weights(),
    ],
    ids=['LPIPS', 'FID Inception', 'timm'],
)
def test_weights_of_metrics(tmp_path, target, load):
    torch.save(dict(a=Payload(target)), tmp_path / 'a.pth')
    with pytest.raises(UserError, match='a.pth cannot be read safely'):
        load(str(tmp_path / 'a.pth'))


def test_parts_of_samples_with_objects(tmp_path, target):
    array = np.empty(1, dtype=object)
    array[0] = Payload(target)
    np.save(tmp_path / 'part_000000.npy', array, allow_pickle=True)
    with pytest.raises(UserError, match='part_000000.npy cannot be read'):
        _merge(tmp_path, tmp_path / 'out.npz', [0], 1)
    assert not (tmp_path / 'out.npz').exists()


def test_kept_statistics_with_objects(tmp_path, target, monkeypatch):
    """They are computed again."""
    kept = tmp_path / 'kept.npz'
    array = np.empty(1, dtype=object)
    array[0] = Payload(target)
    np.savez(kept, count=array, mu=np.zeros(2), sigma=np.eye(2))
    assert _kept_moments(kept) is None


def test_a_config_inside_a_checkpoint_is_not_executed(tmp_path, target):
    from openmagvit2.config import load_config
    from openmagvit2.workflows.train import train

    code = f'open({str(target)!r}, "w")\n'
    state = dict(state_dict={}, optimizer={}, meta=dict(config=code))
    torch.save(state, tmp_path / 'a.pth')
    config = load_config('configs/tiny/lfq_32.py')
    with pytest.raises(UserError, match='carries a config in `meta.config`'):
        train(config, str(tmp_path / 'run'), resume=str(tmp_path / 'a.pth'))


def tar(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, 'w') as archive:
        for member, content in members:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def test_tar_shards_with_paths_and_links(tmp_path, target):
    """Members are read in memory: no path of an archive is opened or made."""
    pytest.importorskip('webdataset')
    from openmagvit2.datasets.shards import TarShards

    file = io.BytesIO()
    Image.new('RGB', (8, 8), (7, 7, 7)).save(file, 'PNG')
    secret = tmp_path / 'secret.png'
    Image.new('RGB', (8, 8), (200, 0, 0)).save(secret)
    up, absolute = tarfile.TarInfo('../executed.png'), tarfile.TarInfo(f'{target}.png')
    symbolic, hard = tarfile.TarInfo('link.png'), tarfile.TarInfo('hard.png')
    symbolic.type, symbolic.linkname = tarfile.SYMTYPE, str(secret)
    hard.type, hard.linkname = tarfile.LNKTYPE, '../secret.png'
    good = tarfile.TarInfo('good.png')
    folder = tmp_path / 'shards'
    folder.mkdir()
    contents = [
        (up, file.getvalue()),
        (absolute, file.getvalue()),
        (symbolic, b''),
        (hard, b''),
        (good, file.getvalue()),
    ]
    tar(folder / '0.tar', *contents)
    dataset = TarShards(urls=str(folder), keys=['png'], resampled=False, shuffle=1)
    seen = {int(sample['image'][0, 0, 0]) for _, sample in zip(range(6), dataset, strict=False)}
    assert seen == {7}, 'only images inside of the archive'
    assert not list(tmp_path.rglob('executed*'))


def test_pickles_in_a_shard_stay_bytes(tmp_path, target):
    pytest.importorskip('webdataset')
    from openmagvit2.datasets.shards import TarShards

    file = io.BytesIO()
    Image.new('RGB', (8, 8), (7, 7, 7)).save(file, 'PNG')
    members = [
        (tarfile.TarInfo(f'a.{ending}'), pickle.dumps(Payload(target)))
        for ending in ('pkl', 'pyd', 'pth')
    ]
    tar(tmp_path / '0.tar', *members, (tarfile.TarInfo('a.png'), file.getvalue()))
    dataset = TarShards(urls=str(tmp_path), keys=['png'], resampled=False, shuffle=1)
    assert int(next(iter(dataset))['image'][0, 0, 0]) == 7


def sparse(name: str, size: int) -> bytes:
    """A member that says it has so many bytes, all zero but the first 512."""
    member = tarfile.TarInfo(name)
    member.type, member.size = tarfile.GNUTYPE_SPARSE, 512
    header = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    header[386:410] = b'%011o\0%011o\0' % (0, 512)
    header[483:495] = tarfile.itn(size, 12, tarfile.GNU_FORMAT)
    header[148:156] = b' ' * 8
    header[148:156] = b'%06o\0 ' % sum(header)
    return bytes(header) + b'x' * 512


def test_a_shard_that_unpacks_to_more_than_the_memory(tmp_path, monkeypatch):
    """A terabyte in a sparse member, and zeros in a compressed archive; the rest is read."""
    pytest.importorskip('webdataset')
    from openmagvit2.datasets import shards, tar_files

    said = []
    monkeypatch.setattr(shards, 'print_log', lambda text, *args: said.append(text))
    monkeypatch.setattr(tar_files, 'LARGEST', 1_000_000)
    file = io.BytesIO()
    Image.new('RGB', (8, 8), (7, 7, 7)).save(file, 'PNG')
    good = (tarfile.TarInfo('good.png'), file.getvalue())
    plain = tar(tmp_path / 'plain', good).read_bytes()
    (tmp_path / '0.tar').write_bytes(sparse('large.png', 1 << 40) + plain)
    zeros = tar(tmp_path / 'zeros', (tarfile.TarInfo('zeros.png'), bytes(5_000_000)), good)
    (tmp_path / '1.tar').write_bytes(gzip.compress(zeros.read_bytes()))
    dataset = shards.TarShards(urls=str(tmp_path), keys=['png'], resampled=False, shuffle=1)
    seen = [int(sample['image'][0, 0, 0]) for _, sample in zip(range(2), dataset, strict=False)]
    assert seen == [7, 7]
    for name, size in (('0.tar: large.png', 1 << 40), ('1.tar: zeros.png', 5_000_000)):
        assert any(f'{name} cannot be read ({size} bytes are too large' in text for text in said), (
            said
        )


def test_a_module_beside_a_config_replaces_none(tmp_path, target, monkeypatch):
    """`custom_imports` puts the folders at the end of the path."""
    from openmagvit2.config import load_config

    monkeypatch.setattr(sys, 'path', list(sys.path))
    for name in ('colorsys', 'quopri'):
        (tmp_path / f'{name}.py').write_text(f'open({str(target)!r}, "w")\n')
    monkeypatch.delitem(sys.modules, 'quopri', raising=False)
    monkeypatch.delitem(sys.modules, 'colorsys', raising=False)
    (tmp_path / 'a.py').write_text("custom_imports = dict(imports=['quopri', 'colorsys'])\n")
    before = list(sys.path)
    load_config(tmp_path / 'a.py')
    assert sys.path[: len(before)] == before and len(sys.path) > len(before)
