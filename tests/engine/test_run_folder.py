"""A work directory belongs to one run, and only that run is resumed in it."""

import json
import os
import time
from pathlib import Path

import pytest
import torch
from mmengine.hooks import Hook

from openmagvit2.checkpoint import read_checkpoint
from openmagvit2.config import load_config
from openmagvit2.engine.lock import LOCK, lock
from openmagvit2.engine.resume import run_folder
from openmagvit2.engine.resume.run_folder import checkpoints, newest, results
from openmagvit2.io import process, remove_leftovers
from openmagvit2.io.process import host
from openmagvit2.workflows.train import train

CONFIGS = Path(__file__).parents[2] / 'configs'


class Break(Hook):
    """End a training like a kill."""

    def __init__(self, iteration: int) -> None:
        self.iteration = iteration

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        if batch_idx + 1 == self.iteration:
            raise KeyboardInterrupt


def config(iterations: int = 2, interval: int = 1, **options):
    settings = {
        'train_cfg.max_iters': iterations,
        'default_hooks.checkpoint.interval': interval,
    }
    settings |= {
        'global_batch_size': 4,
        'val_dataloader.dataset.num_images': 4,
        'custom_hooks': [],
        'optim_wrapper.dtype': 'float32',
    }
    return load_config(CONFIGS / 'tiny' / 'lfq_32.py', settings | options)


def test_a_folder_belongs_to_its_run(tmp_path):
    folder = tmp_path / 'run'
    train(config(), str(folder), resume=True)
    run = json.loads((folder / 'run.json').read_text())
    assert read_checkpoint(folder / 'iter_2.pth')['meta']['run'] == run['id']
    assert not (folder / LOCK).exists()
    message = (
        r'holds the results of another run of .*lfq_32.py \(iter_2.pth\); continue it with '
        r'--resume, or choose'
    )
    with pytest.raises(ValueError, match=message):
        train(config(), str(folder))
    # A user's file is not a checkpoint; a later checkpoint of another run is neither resumed nor
    # removed.
    (folder / 'iter_10_good.pth').write_bytes((folder / 'iter_2.pth').read_bytes())
    other = read_checkpoint(folder / 'iter_2.pth')
    other['meta']['run'] = 'other'
    torch.save(other, folder / 'iter_9.pth')
    (folder / 'iter_1.pth').write_bytes(b'torn')
    train(config(4), str(folder), resume=True)
    names = ['iter_1.pth', 'iter_10_good.pth', 'iter_3.pth', 'iter_4.pth', 'iter_9.pth']
    assert sorted(path.name for path in folder.glob('*.pth')) == names
    assert json.loads((folder / 'run.json').read_text())['id'] == run['id']


def test_a_run_without_checkpoints_leaves_its_folder(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(config(4, 4), str(tmp_path), hooks=[Break(1)])
    first = json.loads((tmp_path / 'run.json').read_text())['id']
    train(config(1), str(tmp_path))
    assert json.loads((tmp_path / 'run.json').read_text())['id'] != first


def test_a_config_without_hooks_writes_checkpoints_that_resume(tmp_path):
    bare = config(2, val_evaluator=None)
    bare.default_hooks = {}
    train(bare, str(tmp_path))
    assert checkpoints(tmp_path) == [tmp_path / 'iter_2.pth']


def test_the_best_of_a_validation_is_a_result_too(tmp_path):
    folder = tmp_path / 'run'
    best = {'default_hooks.checkpoint.save_best': 'psnr', 'train_cfg.val_interval': 1}
    with pytest.raises(KeyboardInterrupt):
        train(config(3, 9, **best), str(folder), hooks=[Break(2)])
    with pytest.raises(ValueError, match=r'results of another run of .*\(best_psnr.pth\)'):
        train(config(), str(folder))
    owner = json.loads((folder / 'run.json').read_text())['id']
    # It has all that a resume needs, and there is no other checkpoint.
    assert newest(folder)[0].name == 'best_psnr.pth'
    train(config(1, **best), str(folder), resume=True)
    assert read_checkpoint(folder / 'iter_1.pth')['meta']['run'] == owner


def test_only_ascii_digits_are_a_number(tmp_path):
    for name in ('iter_\u0661.pth', 'iter_1.pth.bak', 'iter_.pth', 'iter_-1.pth', 'iter_1e3.pth'):
        (tmp_path / name).touch()
    assert not checkpoints(tmp_path) and not results(tmp_path)


def test_torn_files(tmp_path):
    for number in (2, 10):
        (tmp_path / f'iter_{number}.pth').write_bytes(b'half a file')
    with pytest.raises(
        ValueError, match=r'none of its checkpoints is readable .*\(iter_10.pth, iter_2.pth\)'
    ):
        train(config(), str(tmp_path), resume=True)
    with pytest.raises(ValueError, match='there is no checkpoint iter_<number>.pth in it'):
        train(config(), str(tmp_path / 'run'), resume=str(CONFIGS))


def test_one_training_at_a_time(tmp_path):
    with (
        lock(tmp_path),
        pytest.raises(ValueError, match=f'a training runs there, process {os.getpid()}'),
    ):
        train(config(), str(tmp_path))
    file = tmp_path / LOCK
    for holder, age, holds in (
        (dict(host='elsewhere', pid=1), 0, True),
        (dict(host='elsewhere', pid=1), 1000, False),
        (dict(host=host(), pid=os.getpid(), started='1'), 0, False),
        (dict(host=host(), pid=2**22 + 1), 0, False),
    ):
        file.write_text(json.dumps(holder))
        os.utime(file, (time.time() - age,) * 2)
        if holds:
            with pytest.raises(ValueError, match='a training runs there'), lock(tmp_path):
                pass
        else:
            with lock(tmp_path):
                assert json.loads(file.read_text())['pid'] == os.getpid()
    assert not list(tmp_path.iterdir())


def test_without_process_information_the_age_of_a_lock_decides(tmp_path, monkeypatch):
    def kill(*_):
        raise AssertionError('this ends a process')

    monkeypatch.setattr(process, 'WINDOWS', True)
    monkeypatch.setattr(os, 'kill', kill)
    file = tmp_path / LOCK
    file.write_text(json.dumps(dict(host=host(), pid=2**22 + 1)))
    with pytest.raises(ValueError, match='a training runs there.*or wait two minutes'):
        with lock(tmp_path):
            pass
    os.utime(file, (time.time() - 1000,) * 2)
    with lock(tmp_path):
        pass
    (tmp_path / f'.tmp-a.pth@{host()}-{2**22 + 1}').touch()
    remove_leftovers(tmp_path)
    assert list(tmp_path.iterdir())


def test_default_folders_differ():
    files = [path for path in CONFIGS.rglob('*.py') if '_base_' not in path.parts]
    folders = {
        run_folder.default_folder(type('Config', (), dict(filename=str(path)))) for path in files
    }
    assert len(folders) == len(files)
    assert Path('work_dirs/tiny/lfq_32') in folders
    assert Path('work_dirs/lfq_256') in folders
    assert run_folder.default_folder(type('Config', (), dict(filename='/x/mine.py'))) == Path(
        'work_dirs/mine'
    )


def test_the_folder_of_version_1(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    old, mine = Path('work_dirs/lfq_32'), config()
    train(mine, str(old))
    assert run_folder.default_or_old(mine, False) == Path('work_dirs/tiny/lfq_32')
    assert run_folder.default_or_old(mine, True) == old
    # Another model belongs to the run of another config.
    other = config(**{'model.encoder.channels': 8})
    assert run_folder.default_or_old(other, True) == Path('work_dirs/tiny/lfq_32')
    # Without an identity, a folder belongs to the config that it contains.
    (old / 'run.json').unlink()
    (old / 'lfq_32.py').rename(old / 'theirs.py')
    with pytest.raises(ValueError, match='holds the run of theirs.py, not of lfq_32.py'):
        train(config(3), str(old), resume=True)


def test_a_branch_of_a_run(tmp_path):
    train(config(3, **{'default_hooks.checkpoint.max_keep': 3}), str(tmp_path))
    with pytest.raises(KeyboardInterrupt):
        train(
            config(3),
            str(tmp_path),
            resume=str(tmp_path / 'iter_1.pth'),
            hooks=[Break(2)],
        )
    # The later checkpoints of the first branch do not count.
    assert newest(tmp_path)[0] == tmp_path / 'iter_1.pth'
