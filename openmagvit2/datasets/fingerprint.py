"""Fingerprints of files, and the check whether images have changed since they were tokenized."""

from collections.abc import Iterable
from pathlib import Path

from openmagvit2.checkpoint.hashing import digest
from openmagvit2.datasets.base import ImageDataset
from openmagvit2.errors import UserError
from openmagvit2.registry import DATASETS


def fingerprint_of(paths: Iterable[str | Path]) -> str:
    """Return a hash of the names, sizes and modification times of files."""
    found = ((path, Path(path).stat()) for path in paths)
    lines = (f'{path}\0{stat.st_size}\0{stat.st_mtime_ns}\n' for path, stat in found)
    # Names that are not UTF-8 contain surrogates.
    return digest(line.encode('utf-8', 'surrogateescape') for line in lines)


def changed(header: dict) -> bool:
    """Return whether the names, sizes or times of the images of a token cache have changed.

    Raises:
        UserError: The images are not accessible, or the header has no fingerprint.
    """
    recipe = header.get('recipe')
    spec = recipe.get('dataset') if isinstance(recipe, dict) else None
    spec = spec if isinstance(spec, dict) else {}
    # Old headers have only the fingerprint, which does not cover unreadable images.
    then = header.get('listing') or (spec.get('on_error') != 'skip' and header.get('fingerprint'))
    if not then:
        raise UserError('the cache has no fingerprint of them.')
    return _listing(spec) != then


def _listing(spec: dict) -> str | None:
    """Return the fingerprint of all images of a data set's config, including unreadable ones.

    Finding the unreadable images would require reading all of them.

    The config comes from a file, so its type must be the name of a registered image data set: a
    registry's ``build`` would import and call anything.

    Raises:
        UserError: The images are not accessible.
    """
    kind = DATASETS.module_dict.get(str(spec.get('type')))
    if not (isinstance(kind, type) and issubclass(kind, ImageDataset)):
        raise UserError(f'{spec.get("type")} is not a known image data set.')
    try:
        keys = spec.keys() - {'type', 'pipeline', 'on_error'}
        return kind(**{key: spec[key] for key in keys}).fingerprint()
    except (OSError, TypeError, ValueError) as error:
        raise UserError(str(error)) from error
