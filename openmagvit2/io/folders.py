"""Output folders, and the settings that the results in them were made with."""

import errno
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from openmagvit2.errors import UserError
from openmagvit2.io.atomic import write_text
from openmagvit2.io.paths import usable_text


def make_folder(folder: str | Path) -> Path:
    """Make a folder, and check that files can be written in it.

    Raises:
        UserError: It cannot be made, or nothing can be written in it.
    """
    folder = usable_text(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(
            f'{folder} cannot be written to ({error.strerror}); give another folder.'
        ) from error
    return folder


@contextmanager
def named_if_full(folder: str | Path) -> Iterator[None]:
    """Name the folder where a disk that others write to is full, as with the logs of mmengine.

    Raises:
        UserError: There is no space left, or the quota is used up.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise UserError(
            f'{error.filename or folder} cannot be written ({error.strerror}). Free space; the '
            f'checkpoints in {folder} are kept, go on with --resume.'
        ) from error


def claim(folder: str | Path, settings: dict[str, Any], name: str, results: str, what: str) -> bool:
    """Make a folder for results of some settings, or check that an existing one has the same.

    Args:
        folder: Folder for the results.
        settings: Plain values.
        name: Name of the file in the folder that keeps the settings.
        results: Pattern of the names of results.
        what: Name of the results in errors.

    Returns:
        Whether the folder was there.

    Raises:
        UserError: The folder holds results of other settings, or of unknown ones; it cannot be
            written to.
    """
    folder, settings = usable_text(folder), json.loads(json.dumps(settings))
    file = folder / name
    if file.is_file():
        try:
            old = json.loads(file.read_text(encoding='utf-8'))
        except ValueError as error:
            raise UserError(
                f'{file} cannot be read: {error}; remove {folder}, or give another name.'
            ) from error
        old = old if isinstance(old, dict) else {}
        other = [key for key in settings if old.get(key) != settings[key]]
        if other:
            raise UserError(
                f'{folder} holds {what} of other settings ({", ".join(other)}); remove it, or '
                f'give another name.'
            )
        return True
    if folder.is_dir() and any(folder.glob(results)):
        raise UserError(
            f'{folder} holds {what}, but no {name} that says whose; remove it, or give '
            f'another name.'
        )
    make_folder(folder)
    write_text(file, json.dumps(settings, indent=2) + '\n')
    return False
