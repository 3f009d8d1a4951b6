"""Write files atomically."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from openmagvit2.errors import UserError
from openmagvit2.io.process import alive, host

# Names of temporary files contain the machine and the process; in version 1, only the process.
LEFTOVER = re.compile(r'\.tmp-(?:(?P<name>.+)@(?P<host>[^@]+)|[^@]+)-(?P<pid>\d+)')


@contextmanager
def write_atomically(path: str | Path) -> Iterator[IO[bytes]]:
    """Open a temporary file that replaces ``path`` once everything is on the disk.

    On failure, the old file stays and the temporary one is removed. Only a killed process leaves a
    temporary file; see :func:`remove_leftovers`.

    Raises:
        UserError: The file cannot be written, for example because the disk is full.
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
        # Removing fails too if the folder is a file.
        with suppress(OSError):
            beside.unlink()
        cause = _system_error(error)
        if cause is None:
            raise
        # The temporary name is some 30 characters longer.
        long = cause.errno == errno.ENAMETOOLONG
        raise UserError(
            f'{path} cannot be written ({cause.strerror or cause}); what was there before is '
            f'kept. {"Choose a shorter name" if long else "Free space, or choose another folder"}.'
        ) from error


def _system_error(error: BaseException) -> OSError | None:
    """Return the OSError behind an error; torch's zip writer raises a RuntimeError on closing."""
    if isinstance(error, RuntimeError):
        error = error.__cause__ or error.__context__ or error
    return error if isinstance(error, OSError) else None


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text; see :func:`write_atomically`."""
    with write_atomically(path) as file:
        file.write(text.encode())


def temporary(path: Path, prefix: str = '') -> Path:
    """Return the name of the temporary file with which this process writes ``path``."""
    return path.with_name(f'.tmp-{prefix}{path.name}@{host()}-{os.getpid()}')


def is_leftover(path: Path) -> str | None:
    """Return the final name of a temporary file whose writer ran on this machine and is dead.

    Return None for other files, and if the writer may be alive.
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
