"""A lock that allows one training at a time in a folder."""

import contextlib
import json
import os
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from openmagvit2.errors import UserError
from openmagvit2.io import process
from openmagvit2.io.process import alive, host, started

LOCK = '.running.json'
# Seconds between two updates of the lock's time, and after which a holder on another machine counts
# as dead.
BEAT, DEAD = 15.0, 120.0
_held: set[Path] = set()


@contextmanager
def lock(folder: str | Path) -> Iterator[None]:
    """Lock a folder against other trainings.

    The lock is a file with the process and machine of its holder. On this machine, the lock of a
    dead process is void. On another machine, and on Windows, the holder updates the time of the
    file, and the lock is void after two minutes without an update. File system locks are not used:
    network file systems may lack them, and workers of a killed training would keep holding them.

    Raises:
        UserError: Another training runs in the folder.
    """
    path = Path(folder).resolve() / LOCK
    path.parent.mkdir(parents=True, exist_ok=True)
    _take(path)
    _held.add(path)
    end = threading.Event()
    beat = threading.Thread(target=_beat, args=(path, end), daemon=True)
    beat.start()
    try:
        yield
    finally:
        end.set()
        beat.join()
        _held.discard(path)
        path.unlink(missing_ok=True)


def _take(path: Path) -> None:
    content = json.dumps(dict(host=host(), pid=os.getpid(), started=started(os.getpid()))).encode()
    for _ in range(3):
        with contextlib.suppress(FileExistsError):
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
            try:
                with os.fdopen(descriptor, 'wb') as file:
                    file.write(content)
            except OSError as error:
                path.unlink(missing_ok=True)
                raise UserError(
                    f'{path} cannot be written ({error.strerror}). Free space, or choose another '
                    f'--work-dir.'
                ) from error
            return
        with contextlib.suppress(FileNotFoundError):
            _remove_stale(path)
    raise UserError(
        f'{path.parent}: another training is starting there; choose another --work-dir.'
    )


def _remove_stale(path: Path) -> None:
    """Remove the lock of a dead holder; raise UserError if the holder is alive."""
    text = path.read_bytes()
    holder = _holder(text)
    age = time.time() - path.stat().st_mtime
    here = holder.get('host') == host() and not process.WINDOWS
    lives = _lives_here(path, holder) if here else abs(age) < DEAD
    if lives:
        wait = '' if here else f' (if it is over, remove {path}, or wait two minutes)'
        raise UserError(
            f'{path.parent}: a training runs there, process {holder.get("pid", "unknown")} on '
            f'{holder.get("host", "an unknown machine")}; choose another --work-dir, or end that '
            f'training{wait}.'
        )
    aside = path.with_name(f'{path.name}.{uuid.uuid4().hex}')
    os.replace(path, aside)
    if aside.read_bytes() != text:
        # Another process has taken the lock in the meantime: restore it.
        os.replace(aside, path)
    else:
        aside.unlink()


def _holder(text: bytes) -> dict:
    try:
        holder = json.loads(text)
    except ValueError:
        # It is being written, or was truncated by a crash of the machine: its age decides.
        return {}
    return holder if isinstance(holder, dict) else {}


def _lives_here(path: Path, holder: dict) -> bool:
    pid = holder.get('pid')
    if pid == os.getpid():
        return path in _held
    return isinstance(pid, int) and alive(pid, holder.get('started'))


def _beat(path: Path, end: threading.Event) -> None:
    while not end.wait(BEAT):
        with contextlib.suppress(OSError):
            os.utime(path)
