"""Sharded checkpoints in one process: complete or absent, safe, and read like single files."""

import functools
import io
import os
import pickle
import resource
import socket
import zipfile
from pathlib import Path

import pytest
import torch
import torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint import metadata

from openmagvit2.apis import init_model
from openmagvit2.checkpoint import read_checkpoint, sharded
from openmagvit2.checkpoint.hashing import file_hash, weights_hash
from openmagvit2.config import load_config
from openmagvit2.engine.resume.run_folder import checkpoints, newest
from openmagvit2.engine.resume.sharded import (
    remove_sharded,
    remove_sharded_leftovers,
    write_sharded,
)
from openmagvit2.errors import UserError
from openmagvit2.workflows.convert import convert
from openmagvit2.workflows.test import test as run_test
from openmagvit2.workflows.train import train

CONFIG = Path(__file__).parents[2] / 'configs' / 'tiny' / 'lfq_32.py'
DEAD = f'{socket.gethostname()}-{2**22 + 1}'
SHARD, CONTENT, INDEX = '__0_0.distcp', 'checkpoint.pth', '.metadata'


def content(offset: float = 0.0) -> dict:
    values = torch.arange(12.0).view(3, 4) + offset
    state = {0: dict(step=torch.tensor(3.0), exp_avg=values * 2), 1: dict(step=torch.tensor(4.0))}
    return dict(
        state_dict={'a.b': values, 'empty': torch.empty(0), 'count': torch.tensor([2, 3])},
        ema_state_dict={'a.b': values.bfloat16()},
        optimizer=dict(state=state, param_groups=[dict(lr=0.1, params=[0, 1])]),
        meta=dict(iter=3),
        random_states=[dict(cpu=torch.get_rng_state())],
    )


@pytest.fixture
def folder(tmp_path):
    write_sharded(content(), tmp_path / 'iter_3.dcp')
    return tmp_path / 'iter_3.dcp'


def test_round_trip(folder):
    found, expected = read_checkpoint(folder), content()
    assert sorted(path.name for path in folder.iterdir()) == [INDEX, SHARD, CONTENT]
    assert found.keys() == expected.keys() and found['meta'] == dict(iter=3)
    assert found['optimizer']['param_groups'] == expected['optimizer']['param_groups']
    assert found['random_states'][0]['cpu'].equal(expected['random_states'][0]['cpu'])
    one, other = sharded.flat(found), sharded.flat(expected)
    assert one.keys() == other.keys() and len(one) == 7
    for name, tensor in other.items():
        assert one[name].equal(tensor) and one[name].dtype == tensor.dtype
    shapes = read_checkpoint(folder, values=False)['state_dict']['a.b']
    assert shapes.is_meta and shapes.shape == (3, 4)


def test_torch_reads_it_too(folder):
    state = {'state_dict.a.b': torch.zeros(3, 4)}
    dcp.load(
        state,
        storage_reader=dcp.FileSystemReader(folder),
        planner=dcp.DefaultLoadPlanner(flatten_state_dict=False),
    )
    assert state['state_dict.a.b'].equal(content()['state_dict']['a.b'])


@pytest.mark.parametrize('name', [SHARD, CONTENT, INDEX])
@pytest.mark.parametrize('kept', [None, 0, 0.6])
def test_torn_folders_are_named(folder, name, kept):
    path = folder / name
    data = path.read_bytes()
    path.unlink()
    if kept is not None:
        path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(UserError, match=r'iter_3\.dcp'):
        read_checkpoint(folder, values=False)
    with pytest.raises(UserError, match=r'none of its checkpoints is readable .*\(iter_3\.dcp\)'):
        newest(folder.parent)


def test_what_is_not_written_is_not_a_checkpoint(folder):
    (folder.parent / 'iter_4.pth').mkdir()
    (folder.parent / 'iter_5.dcp').touch()
    (folder.parent / 'iter_6_good.dcp').mkdir()
    assert checkpoints(folder.parent) == [folder]
    with pytest.raises(UserError, match='is a folder, not a checkpoint; name a file in it'):
        read_checkpoint(folder.parent)


def test_it_is_replaced_as_a_whole(folder, monkeypatch):
    write_sharded(content(1.0), folder)
    assert float(read_checkpoint(folder)['state_dict']['a.b'][0, 0]) == 1.0
    assert os.listdir(folder.parent) == [folder.name]
    # The disk is full after the shards.
    full = UserError('checkpoint.pth cannot be written')

    def fail(*args):
        raise full

    monkeypatch.setattr('openmagvit2.engine.resume.sharded.save_atomically', fail)
    with pytest.raises(UserError, match=r'checkpoint\.pth cannot be written'):
        write_sharded(content(2.0), folder)
    assert float(read_checkpoint(folder)['state_dict']['a.b'][0, 0]) == 1.0
    assert os.listdir(folder.parent) == [folder.name]


def test_a_real_limit_of_the_disk(folder):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    big = content() | dict(state_dict=dict(a=torch.zeros(1 << 18)))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, before[1]))
    try:
        with pytest.raises(UserError, match=r'iter_3\.dcp cannot be written \(.*what was there'):
            write_sharded(big, folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert 'a.b' in read_checkpoint(folder)['state_dict']
    assert os.listdir(folder.parent) == [folder.name]


def test_leftovers(folder):
    place = folder.parent
    half = place / f'.tmp-iter_9.dcp@{DEAD}'
    alive = place / f'.tmp-iter_8.dcp@{socket.gethostname()}-{os.getpid()}'
    elsewhere = place / '.tmp-iter_7.dcp@elsewhere-1'
    foreign = place / f'.tmp-iter_6.dcp@{DEAD}'
    for path in (half, alive, elsewhere, foreign):
        path.mkdir()
        (path / SHARD).touch()
    (foreign / 'notes.txt').touch()
    # Killed between the two renames of a replacement.
    os.replace(folder, place / f'.tmp-old-iter_3.dcp@{DEAD}')
    remove_sharded_leftovers(place)
    assert {path.name for path in place.iterdir()} == {
        folder.name, alive.name, elsewhere.name, foreign.name
    }  # fmt: skip
    assert 'a.b' in read_checkpoint(folder)['state_dict']
    (folder / 'notes.txt').touch()
    remove_sharded(folder)
    assert (folder / SHARD).exists()
    (folder / 'notes.txt').unlink()
    remove_sharded(folder)
    assert not folder.exists() and not list(place.glob('.tmp-*iter_3*'))


class Payload:
    """Create a file when unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return open, (str(self.target), 'w')


def changed(folder: Path, change) -> None:
    """Change the index of a checkpoint."""
    with open(folder / INDEX, 'rb') as file:
        found = pickle.load(file)
    change(found)
    (folder / INDEX).write_bytes(pickle.dumps(found))


def _bytes_instead(found) -> None:
    found.state_dict_metadata['state_dict.a.b'] = metadata.BytesStorageMetadata()


def _outside(found) -> None:
    for info in found.storage_data.values():
        info.relative_path = '../__0_0.distcp'


def _transformed(found) -> None:
    for info in found.storage_data.values():
        info.transform_descriptors = ['zstd']


def _larger(found) -> None:
    found.state_dict_metadata['state_dict.a.b'].size = torch.Size((1 << 40, 4))


def _no_parts(found) -> None:
    found.state_dict_metadata['state_dict.a.b'].chunks.clear()


@pytest.mark.parametrize(
    'change', [_bytes_instead, _outside, _transformed, _larger, _no_parts], ids=lambda f: f.__name__
)
def test_a_harmful_index(folder, change):
    changed(folder, change)
    with pytest.raises(UserError, match=r'iter_3\.dcp cannot be read safely'):
        read_checkpoint(folder, values=False)


def _all_are(length: int, found) -> None:
    for info in found.storage_data.values():
        info.offset, info.length = 0, length


def test_enums_that_are_pickled_by_name(tmp_path, monkeypatch):
    """Python 3.11.0 to 3.11.3 pickle a member of an enum as ``getattr(class, name)``."""
    kind = metadata._MEM_FORMAT_ENCODING
    monkeypatch.setattr(kind, '__reduce_ex__', lambda self, protocol: (getattr, (kind, self.name)))
    path = tmp_path / 'iter_3.dcp'
    write_sharded(content(), path)
    assert b'getattr' in (path / INDEX).read_bytes()
    assert torch.equal(read_checkpoint(path)['state_dict']['a.b'], content()['state_dict']['a.b'])


@pytest.mark.parametrize(
    'arguments',
    [(metadata.Metadata, '__init__'), (metadata._MEM_FORMAT_ENCODING, '__class__')],
)
def test_other_attributes_by_name_are_refused(folder, arguments):
    class Attribute:
        def __reduce__(self):
            return getattr, arguments

    (folder / INDEX).write_bytes(pickle.dumps(Attribute()))
    with pytest.raises(UserError, match='cannot be read safely.*getattr'):
        read_checkpoint(folder)


def test_payloads(folder, tmp_path):
    target = tmp_path / 'executed'
    for name in (INDEX, CONTENT):
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(pickle.dumps(Payload(target)))
        with pytest.raises(UserError, match='cannot be read safely.*(open|which could run code)'):
            read_checkpoint(folder)
        (folder / name).write_bytes(whole)
    # A payload in place of a tensor, and a tensor that decompresses to many times its size.
    bomb, parts = io.BytesIO(), io.BytesIO()
    torch.save(Payload(target), bomb)
    torch.save(torch.zeros(3, 4), parts)
    with zipfile.ZipFile(parts) as old:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, 'w', zipfile.ZIP_DEFLATED) as new:
            for part in old.infolist():
                new.writestr(part.filename, old.read(part))
    for data, reason in ((bomb, 'cannot be read safely'), (packed, 'is compressed')):
        (folder / SHARD).write_bytes(data.getvalue())
        changed(folder, functools.partial(_all_are, data.getbuffer().nbytes))
        with pytest.raises(UserError, match=reason):
            read_checkpoint(folder)
    assert not target.exists()


def config(iterations: int, **options):
    settings = {
        'train_cfg.max_iters': iterations,
        'default_hooks.checkpoint.interval': 1,
        'default_hooks.checkpoint.sharded': True,
        'global_batch_size': 4,
        'val_dataloader.dataset.num_images': 4,
        'optim_wrapper.dtype': 'float32',
        'param_scheduler': [],
    }
    return load_config(CONFIG, settings | options)


def test_a_training_resumes(tmp_path):
    train(config(1), str(tmp_path))
    half = tmp_path / f'.tmp-iter_2.dcp@{DEAD}'
    half.mkdir()
    again = {'default_hooks.checkpoint.max_keep': 1}
    runner = train(config(2, **again), str(tmp_path), resume=True)
    assert sorted(path.name for path in tmp_path.glob('*iter_*')) == ['iter_2.dcp']
    state = runner.model.state_dict()
    found = read_checkpoint(tmp_path / 'iter_2.dcp')
    assert found['meta']['samples_seen'] == 8
    assert all(found['state_dict'][name].equal(tensor) for name, tensor in state.items())


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp('sharded')
    train(config(2), str(folder / 'run'))
    train(config(4), str(folder / 'run'), resume=True)
    straight = {'default_hooks.checkpoint.sharded': False}
    train(config(4, **straight), str(folder / 'straight'))
    return folder


@pytest.mark.slow
def test_a_resumed_training_is_that_of_files(trained):
    last, whole = trained / 'run' / 'iter_4.dcp', trained / 'straight' / 'iter_4.pth'
    assert sorted(p.name for p in last.parent.glob('iter_*')) == ['iter_3.dcp', last.name]
    found, expected = (sharded.flat(read_checkpoint(path)) for path in (last, whole))
    assert found.keys() == expected.keys() and len(found) > 100
    assert all(found[name].equal(expected[name]) for name in found)


@pytest.mark.slow
def test_a_folder_to_resume_is_the_checkpoint_or_has_it(trained):
    for name, source in dict(a='run', b='run/iter_3.dcp').items():
        train(config(5), str(trained / name), resume=str(trained / source))
        assert [path.name for path in checkpoints(trained / name)][0] == 'iter_5.dcp'


@pytest.mark.slow
def test_everything_reads_it(trained, tmp_path):
    last = trained / 'run' / 'iter_4.dcp'
    hashes = {weights_hash(init_model(CONFIG, path, 'cpu')) for path in (last, to_one(last))}
    assert len(hashes) == 1
    weights = config(1, load_from=str(last))
    train(weights, str(tmp_path / 'from'))
    measured = config(1)
    assert run_test(measured, str(last), str(tmp_path / 'test'), metrics=['psnr'])
    assert file_hash(last) in (tmp_path / 'test' / 'metrics.json').read_text()


def to_one(folder: Path) -> Path:
    """Convert a sharded checkpoint to one file, and resume that."""
    one = folder.parents[1] / 'one' / 'iter_4.pth'
    convert([folder], one, CONFIG)
    train(config(5), str(one.parent), resume=True)
    assert checkpoints(one.parent)[0].name == 'iter_5.dcp'
    with pytest.raises(UserError, match='holds weights only'):
        averaged = one.with_name('ema.pth')
        convert([folder], averaged, CONFIG, weights='ema')
        train(config(5), str(one.parent / 'x'), resume=str(averaged))
    return one
