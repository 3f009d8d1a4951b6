"""Check paths of users, which the system may refuse even to look up."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from openmagvit2.errors import UserError


def usable(path: str | Path) -> Path:
    """Return a path that the system can look up; it need not exist.

    Raises:
        UserError: The value is not a path, or the path is too long, contains a NUL byte or a loop
            of links, or leads through a folder without permission.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise UserError(f'{path!r} is not a path; pass the path of a file or folder.')
    try:
        with reading(path), suppress(FileNotFoundError, NotADirectoryError):
            os.stat(path)
    except UserError:
        raise
    except ValueError as error:
        raise UserError(f'{str(path)!r} is not a path ({error}); choose another name.') from error
    return Path(path)


def usable_text(path: str | Path) -> Path:
    """Return a path that the system can look up and that libraries in C++ accept.

    Raises:
        UserError: See :func:`usable`; or the name is not UTF-8, or Python did not read it as UTF-8.
            With such a name, torch fails and OpenCV crashes.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise UserError(_not_utf8(path)) from error
    return usable(path)


def _not_utf8(path: str | Path) -> str:
    """Return what is wrong with a name: its bytes, or how Python is configured to read them."""
    try:
        name = os.fsencode(path).decode()
    except UnicodeError:
        return f'The path {str(path)!r} is not UTF-8; choose another name.'
    return (
        f'The path {name!r} cannot be used where Python reads names as '
        f'{sys.getfilesystemencoding()}; set PYTHONUTF8=1.'
    )


@contextmanager
def reading(path: str | Path) -> Iterator[None]:
    """Convert errors of the system about a path to one sentence.

    Raises:
        UserError: The path cannot be looked up or read, for example without permission.
    """
    try:
        yield
    except OSError as error:
        denied = isinstance(error, PermissionError)
        raise UserError(
            f'{path} cannot be read ({error.strerror or error}); '
            f'{"change its permissions, or " if denied else ""}choose another path.'
        ) from error
