"""The one way to make a folder that results go to."""

import tempfile
from pathlib import Path

from openmagvit2.errors import UserError


def make_folder(folder: str | Path) -> Path:
    """Make a folder that files can be written in, before the work whose results it is for.

    Raises:
        UserError: It cannot be made, or nothing can be written in it.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(
            f'{folder} cannot be written to ({error.strerror}); give another folder.'
        ) from error
    return folder
