"""Find image files below a folder, in a fixed order.

An image is a file whose name ends in one of ``ENDINGS``, in upper or lower case. Hidden files and
folders are excluded, as are folders that systems and programs reserve for themselves (``SYSTEM``)
and the ``grid.png`` that our tools write. Links to folders are followed, unless they lead to a
folder that contains them. On every machine, files are sorted by name, folder by folder, by code
points ('10' before '2', 'B' before 'a').
"""

import glob
import logging
import os
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

from mmengine.logging import print_log

from openmagvit2.errors import UserError
from openmagvit2.io.paths import usable

ENDINGS = (
    '.apng',
    '.avif',
    '.bmp',
    '.gif',
    '.jfif',
    '.jpe',
    '.jpeg',
    '.jpg',
    '.pgm',
    '.png',
    '.ppm',
    '.tif',
    '.tiff',
    '.webp',
)
SYSTEM = {
    '@eaDir',
    '#recycle',
    '__MACOSX',
    '$RECYCLE.BIN',
    'System Volume Information',
    'lost+found',
}
# Our tools mark their grids with this text; other files with this name are images.
GRID_NAME, GRID_MARK = 'grid.png', ('openmagvit2', 'grid')


def is_hidden(name: str) -> bool:
    """Return whether a file or folder with this name is excluded."""
    return (name.startswith('.') and name not in ('.', '..')) or name in SYSTEM


def has_ending(name: str) -> bool:
    """Return whether a name is that of an image."""
    return name.lower().endswith(ENDINGS)


def by_name(name: str) -> tuple[str, str]:
    """Return a sort key that does not depend on how the file system stores accents."""
    return unicodedata.normalize('NFC', name), name


def find_images(folder: str | Path, least: int = 1) -> list[Path]:
    """Return all images below a folder, in order.

    Raises:
        UserError: There are fewer than ``least`` (0 or 1) images, or a folder cannot be listed.
    """
    found = [Path(path) for path in _walk(os.fspath(folder), ())]
    if len(found) < least:
        raise UserError(f'Folder {folder} holds no images ({", ".join(ENDINGS)}).')
    return found


def find_folders(folder: str | Path) -> list[str]:
    """Return the names of the subfolders of a folder, including linked ones, in order."""
    return [entry.name for entry in _entries(os.fspath(folder)) if _is_folder(entry)]


def gather_images(paths: Sequence[str | Path]) -> list[Path]:
    """Return the images that a command line names.

    Args:
        paths: Files, which need not be named like images; folders, for all images in them; or
            patterns such as ``photos/**/*.jpg``. A path that exists is never a pattern.

    Raises:
        UserError: A path does not exist, a folder has no images, or a pattern matches none.
    """
    files: list[Path] = []
    for path in map(usable, paths):
        if path.is_dir():
            files += find_images(path)
        elif path.is_file():
            files.append(path)
        elif path.exists():
            raise UserError(f'{path} is a pipe or a device; pass a regular file.')
        elif glob.has_magic(str(path)):
            files += _matching(path)
        else:
            raise UserError(f'{path} does not exist.')
    return files


def _matching(pattern: Path) -> list[Path]:
    matches = [Path(name) for name in glob.glob(str(pattern), recursive=True)]
    # Hidden folders are included if the pattern names them.
    files = [
        path
        for path in matches
        if not any(is_hidden(part) and part not in pattern.parts for part in path.parts)
        and has_ending(path.name)
        and not path.is_dir()
        and not is_own_grid(path)
    ]
    if not files:
        raise UserError(f'{pattern} does not exist and, as a pattern, matches no images.')
    return sorted(files, key=lambda path: [by_name(part) for part in path.parts])


def is_own_grid(path: str | Path) -> bool:
    """Return whether a file is a grid that one of our tools wrote."""
    if os.path.basename(path) != GRID_NAME:
        return False
    # Pillow writes the text right after the header.
    text = '\0'.join(GRID_MARK)
    try:
        with open(path, 'rb') as file:
            return f'tEXt{text}'.encode() in file.read(256)
    except OSError:  # the reader of images reports it
        return False


def _walk(folder: str, above: tuple[str, ...]) -> Iterator[str]:
    """Yield the paths of the images below a folder; ``above`` are its resolved parents."""
    here = os.path.realpath(folder)
    if here in above:
        return
    for entry in _entries(folder):
        if _is_folder(entry):
            yield from _walk(entry.path, (*above, here))
        elif has_ending(entry.name):
            # Broken links stand for images too; the reader of images reports them.
            broken_link = entry.is_symlink() and not os.path.exists(entry.path)
            if broken_link or (entry.is_file() and not is_own_grid(entry.path)):
                yield entry.path
        elif entry.is_symlink() and not os.path.exists(entry.path):
            print_log(f'{entry.path} is a broken link and is skipped.', 'current', logging.WARNING)


def _entries(folder: str) -> list[os.DirEntry]:
    """Return the entries that are not hidden, in order."""
    try:
        with os.scandir(folder) as entries:
            seen = [entry for entry in entries if not is_hidden(entry.name)]
    except OSError as error:
        raise UserError(f'Folder {folder} cannot be listed: {error.strerror}.') from error
    return sorted(seen, key=lambda entry: by_name(entry.name))


def _is_folder(entry: os.DirEntry) -> bool:
    # DirEntry.is_dir fails on links that lead to themselves.
    return os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir()
