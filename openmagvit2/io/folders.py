"""Output folders, and the settings of the results in them."""

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
    """Create a folder if necessary, and check that it is writable.

    Raises:
        UserError: The folder cannot be created or is not writable.
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
    """Report a full disk when other libraries write, such as mmengine its logs.

    Raises:
        UserError: There is no space left, or the quota is exhausted; the message names the folder.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise UserError(
            f'{error.filename or folder} cannot be written ({error.strerror}). Free space and '
            f'continue with --resume; the checkpoints in {folder} are kept.'
        ) from error


def claim(folder: str | Path, settings: dict[str, Any], name: str, results: str, what: str) -> bool:
    """Create a folder for results, or check that an existing one belongs to the same settings.

    Args:
        folder: Folder for the results.
        settings: Settings of the results, plain values.
        name: Name of the file in the folder that stores the settings.
        results: Pattern of the names of results.
        what: Name of the results, for errors.

    Returns:
        Whether the folder with these settings existed.

    Raises:
        UserError: The folder has results of other or unknown settings, or is not writable.
    """
    folder, settings = usable_text(folder), json.loads(json.dumps(settings))
    file = folder / name
    if file.is_file():
        try:
            old = json.loads(file.read_text(encoding='utf-8'))
        except ValueError as error:
            raise UserError(
                f'{file} cannot be read: {error}; remove {folder}, or give another folder.'
            ) from error
        old = old if isinstance(old, dict) else {}
        other = [key for key in settings if old.get(key) != settings[key]]
        if other:
            raise UserError(
                f'{folder} holds {what} of other settings ({", ".join(other)}); remove it, or give '
                f'another folder.'
            )
        return True
    if folder.is_dir() and any(folder.glob(results)):
        raise UserError(
            f'{folder} holds {what}, but no {name} with their settings; remove it, or give '
            f'another folder.'
        )
    make_folder(folder)
    write_text(file, json.dumps(settings, indent=2) + '\n')
    return False
