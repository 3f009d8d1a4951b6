"""Atomic writing of files."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from openmagvit2.errors import UserError
from openmagvit2.io.process import alive, host

# Names of temporary files have machine and process; those of version 1 have no machine.
LEFTOVER = re.compile(r'\.tmp-(?:(?P<name>.+)@(?P<host>[^@]+)|[^@]+)-(?P<pid>\d+)')


@contextmanager
def write_atomically(path: str | Path) -> Iterator[IO[bytes]]:
    """Open a temporary file that replaces ``path`` once everything is on the disk.

    On any failure the old file stays and the temporary one is removed; only a killed process leaves
    it (:func:`remove_leftovers`).

    Raises:
        UserError: The file cannot be written, as on a full disk; the text names it.
    """
    path = Path(path)
    beside = temporary(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(beside, 'wb') as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException as error:
        # This also fails if the folder is a file.
        with suppress(OSError):
            beside.unlink()
        cause = _system_error(error)
        if cause is None:
            raise
        # The temporary name is longer by some 30 letters.
        long = cause.errno == errno.ENAMETOOLONG
        raise UserError(
            f'{path} cannot be written ({cause.strerror or cause}); what was there before is '
            f'kept. {"Give a shorter name" if long else "Free space, or give another folder"}.'
        ) from error


def _system_error(error: BaseException) -> OSError | None:
    """Return the OSError behind an error; torch's zip writer raises another one on closing."""
    if isinstance(error, RuntimeError):
        error = error.__cause__ or error.__context__ or error
    return error if isinstance(error, OSError) else None


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text; see :func:`write_atomically`."""
    with write_atomically(path) as file:
        file.write(text.encode())


def temporary(path: Path, prefix: str = '') -> Path:
    """Return the name beside ``path`` under which this process writes it."""
    return path.with_name(f'.tmp-{prefix}{path.name}@{host()}-{os.getpid()}')


def is_leftover(path: Path) -> str | None:
    """Return the name that a temporary file was to get, or None.

    None means that its writer may be alive, or was on another machine, or that it is no such file.
    """
    match = LEFTOVER.fullmatch(path.name)
    if not match or match['host'] not in (None, host()) or alive(int(match['pid'])):
        return None
    return match['name'] or path.name


def remove_leftovers(folder: str | Path) -> None:
    """Remove temporary files whose writers ran on this machine and are dead."""
    for path in Path(folder).glob('.tmp-*'):
        if is_leftover(path) and path.is_file():
            path.unlink(missing_ok=True)
