"""Output folders, and the settings that their results were made with."""

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
    """Create a folder if it does not exist, and check that it is writable.

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
            f'{folder} is not writable ({error.strerror}); choose another folder.'
        ) from error
    return folder


@contextmanager
def named_if_full(folder: str | Path) -> Iterator[None]:
    """Convert disk-full errors of other libraries, such as from mmengine's logger, to UserError.

    Raises:
        UserError: No space is left on the device, or the quota is exceeded.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise UserError(
            f'{error.filename or folder} cannot be written ({error.strerror}). Free disk space and '
            f'continue with --resume; the checkpoints in {folder} are kept.'
        ) from error


def claim(folder: str | Path, settings: dict[str, Any], name: str, results: str, what: str) -> bool:
    """Create an output folder, or check that its results were made with the same settings.

    Args:
        folder: Output folder.
        settings: Settings of the results, as plain values.
        name: Name of the file in the folder that stores the settings.
        results: Glob pattern of the result files.
        what: What the results are called in errors.

    Returns:
        Whether the folder already existed with these settings.

    Raises:
        UserError: The folder has results with other or unknown settings, or is not writable.
    """
    folder, settings = usable_text(folder), json.loads(json.dumps(settings))
    file = folder / name
    if file.is_file():
        try:
            old = json.loads(file.read_text(encoding='utf-8'))
        except ValueError as error:
            raise UserError(
                f'{file} cannot be read: {error}; remove {folder}, or choose another folder.'
            ) from error
        old = old if isinstance(old, dict) else {}
        other = [key for key in settings if old.get(key) != settings[key]]
        if other:
            raise UserError(
                f'{folder} contains {what} with other settings ({", ".join(other)}); remove it, or '
                f'choose another folder.'
            )
        return True
    if folder.is_dir() and any(folder.glob(results)):
        raise UserError(
            f'{folder} contains {what}, but no {name} with their settings; remove it, or choose '
            f'another folder.'
        )
    make_folder(folder)
    write_text(file, json.dumps(settings, indent=2) + '\n')
    return False
