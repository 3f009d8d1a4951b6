"""Write a large file in parts, with several processes."""

import errno
import os
from pathlib import Path

from openmagvit2.errors import UserError

ZEROS = 1 << 20
_BINARY = getattr(os, 'O_BINARY', 0)


def reserve(path: str | Path, size: int) -> None:
    """Create a file of ``size`` zero bytes and allocate its space on the disk.

    Raises:
        UserError: There is not enough space, or the file cannot be written; it is removed.
    """
    path = Path(path)
    try:
        with open(path, 'wb') as file:
            if not _allocate(file.fileno(), size):
                for start in range(0, size, ZEROS):
                    file.write(bytes(min(ZEROS, size - start)))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        path.unlink(missing_ok=True)
        raise UserError(
            f'{path} cannot be written: {size} bytes are needed ({error.strerror}). Free space, '
            f'or choose another folder.'
        ) from error


def write_range(path: str | Path, start: int, content: bytes | memoryview) -> None:
    """Write bytes at ``start`` into an existing file and flush them to the disk.

    All other bytes stay as they are, even if another machine writes them at the same time. A memory
    map would write whole pages and, on a network file system, overwrite the bytes of other machines
    with outdated copies. NFS could also round up a plain write to pages, but not if the file was
    opened with O_DSYNC.

    Raises:
        UserError: The file cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | getattr(os, 'O_DSYNC', 0) | _BINARY)
        with os.fdopen(descriptor, 'wb') as file:
            file.seek(start)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise UserError(
            f'{path} cannot be written ({error.strerror}); its content is kept. Free space and '
            f'start again.'
        ) from error


def _allocate(descriptor: int, size: int) -> bool:
    """Allocate space; return False if the file system cannot."""
    if not hasattr(os, 'posix_fallocate') or not size:
        return False
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL):
            return False
        raise
    return True
