"""Files are written completely or not at all; only leftovers of dead processes are removed."""

import errno
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from openmagvit2.checkpoint import save_atomically
from openmagvit2.engine.lock import lock
from openmagvit2.io import (
    atomic,
    remove_leftovers,
    reserve,
    write_atomically,
    write_range,
    write_text,
)
from openmagvit2.io.process import alive, host, started
from openmagvit2.visualization import save_grid, save_image


def full(*args):
    raise OSError(errno.ENOSPC, 'No space left on device')


def test_a_full_disk_keeps_the_old_file_and_removes_the_new(tmp_path, monkeypatch):
    path = tmp_path / 'iter_3.pth'
    save_atomically(dict(x=torch.ones(3)), path)
    monkeypatch.setattr(atomic.os, 'fsync', full)
    with pytest.raises(
        ValueError, match=r'iter_3\.pth cannot be written \(No space left on device\)'
    ):
        save_atomically(dict(x=torch.zeros(3)), path)
    assert list(tmp_path.iterdir()) == [path]
    assert torch.load(path, weights_only=True)['x'].equal(torch.ones(3))


def test_images_and_locks_on_a_full_disk(tmp_path, monkeypatch):
    image = np.zeros((4, 4, 3), np.uint8)
    save_image(image, tmp_path / 'a.png')
    before = (tmp_path / 'a.png').read_bytes()
    monkeypatch.setattr(atomic.os, 'fsync', full)
    for write in (
        lambda: save_image(image + 255, tmp_path / 'a.png'),
        lambda: save_grid([[image]], tmp_path),
    ):
        with pytest.raises(ValueError, match=r'\.png cannot be written \(No space left on device'):
            write()
    monkeypatch.setattr(os, 'fdopen', full)
    # An empty lock would block the next training.
    with pytest.raises(ValueError, match=r'running.json cannot be written'), lock(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == [tmp_path / 'a.png']
    assert (tmp_path / 'a.png').read_bytes() == before


LIMITED = """
import resource, signal, sys, torch
from openmagvit2.checkpoint import save_atomically
from pathlib import Path
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    save_atomically(dict(x=torch.zeros(100_000)), Path(sys.argv[1]))
except ValueError as error:
    print(error)
"""


@pytest.mark.slow
def test_a_real_limit(tmp_path):
    done = subprocess.run(
        [sys.executable, '-c', LIMITED, str(tmp_path / 'x.pth')], capture_output=True, text=True
    )
    assert f'{tmp_path / "x.pth"} cannot be written (File too large)' in done.stdout, done.stderr
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_a_file_is_named(tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(ValueError, match='x cannot be written .File exists'):
        write_text(tmp_path / 'file' / 'x', 'text')


def test_other_errors_stay_what_they_are(tmp_path):
    with pytest.raises(KeyError), write_atomically(tmp_path / 'x') as file:
        file.write(b'half')
        raise KeyError('bug')
    assert not list(tmp_path.iterdir())


def test_only_dead_writers_leave_leftovers(tmp_path):
    dead = subprocess.Popen([sys.executable, '-c', ''])
    dead.wait()
    mine, gone = os.getpid(), dead.pid
    kept = [
        f'.tmp-iter_1.pth@{host()}-{mine}',
        f'.tmp-iter_1.pth@elsewhere-{gone}',
        '.tmp-notes',
        f'.tmp-iter_2.pth-{mine}',
        'iter_7.pth',
    ]
    for name in [*kept, f'.tmp-iter_1.pth@{host()}-{gone}', f'.tmp-iter_2.pth-{gone}']:
        write_text(tmp_path / name, 'x')
    remove_leftovers(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kept)
    assert alive(mine, started(mine)) and not alive(gone)
    # Another process may have got the number of a dead one.
    assert started(mine) is None or not alive(mine, '1')


def test_space_is_reserved_or_refused(tmp_path, monkeypatch):
    reserve(tmp_path / 'a', 3_000_000)
    assert (tmp_path / 'a').stat().st_size == 3_000_000
    assert (tmp_path / 'a').stat().st_blocks * 512 >= 3_000_000
    monkeypatch.setattr(atomic.os, 'posix_fallocate', full, raising=False)
    with pytest.raises(
        ValueError, match=r'b cannot be written: 9 bytes are needed \(No space left'
    ):
        reserve(tmp_path / 'b', 9)
    assert not (tmp_path / 'b').exists()
    monkeypatch.delattr(atomic.os, 'posix_fallocate')
    reserve(tmp_path / 'c', 3_000_000)
    assert (tmp_path / 'c').read_bytes() == bytes(3_000_000)


def test_a_range_of_bytes(tmp_path):
    path = tmp_path / 'a'
    reserve(path, 10_000)
    write_range(path, 4090, b'x' * 20)
    assert path.read_bytes() == bytes(4090) + b'x' * 20 + bytes(5890)
    with pytest.raises(ValueError, match='b cannot be written .No such file'):
        write_range(tmp_path / 'b', 0, b'x')


@pytest.mark.skipif(not os.path.exists('/dev/full'), reason='needs a device that is full')
def test_a_range_on_a_full_disk():
    with pytest.raises(ValueError, match='/dev/full cannot be written .No space left on device'):
        write_range('/dev/full', 0, b'x')
