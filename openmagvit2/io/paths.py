"""Paths that users give, which the system may refuse before it looks whether anything is there."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from openmagvit2.errors import UserError


def usable(path: str | Path) -> Path:
    """Return a path that can be looked up, whether or not there is anything.

    Raises:
        UserError: It is a number or the like, or the system refuses it: it is too long, holds a
            NUL byte, leads through a folder without permission or through links without end.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise UserError(f'{path!r} is no path; give the name of a file or folder.')
    try:
        with reading(path), suppress(FileNotFoundError, NotADirectoryError):
            os.stat(path)
    except UserError:
        raise
    except ValueError as error:
        raise UserError(f'{str(path)!r} is no path ({error}); give another name.') from error
    return Path(path)


def usable_text(path: str | Path) -> Path:
    """Return a path that can be looked up and that libraries in C++ take too.

    Raises:
        UserError: See :func:`usable`; or its name is not UTF-8, or was not read as UTF-8, at which
            torch fails to read and OpenCV crashes.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise UserError(_not_utf8(path)) from error
    return usable(path)


def _not_utf8(path: str | Path) -> str:
    """Return what is wrong with a name: bytes on the disk, or how Python was told to read them."""
    try:
        name = os.fsencode(path).decode()
    except UnicodeError:
        return f'The path {str(path)!r} is not UTF-8; give another name.'
    return (
        f'The path {name!r} cannot be used where Python reads names as '
        f'{sys.getfilesystemencoding()}; set PYTHONUTF8=1.'
    )


@contextmanager
def reading(path: str | Path) -> Iterator[None]:
    """Turn what the system says of a path into one sentence.

    Raises:
        UserError: It cannot be looked up or read, as without permission; the text names it.
    """
    try:
        yield
    except OSError as error:
        denied = isinstance(error, PermissionError)
        raise UserError(
            f'{path} cannot be read ({error.strerror or error}); '
            f'{"change its permissions, or " if denied else ""}name another path.'
        ) from error
