"""Whether images are still those that tokens were made of."""

import hashlib
from pathlib import Path

import numpy as np
from torch.utils.data import Dataset

from openmagvit2.datasets.base import ImageDataset
from openmagvit2.errors import UserError
from openmagvit2.registry import DATASETS


def fingerprint(dataset: Dataset) -> str | None:
    """A hash that changes with the images: of the names, sizes and times of files, or of images in
    memory; None for others.
    """
    digest = hashlib.sha256()
    if hasattr(dataset, 'samples'):
        for path, _ in dataset.samples:
            found = Path(path).stat()
            digest.update(
                f'{path}\0{found.st_size}\0{found.st_mtime_ns}\n'.encode('utf-8', 'surrogateescape')
            )
    elif isinstance(getattr(dataset, 'images', None), np.ndarray):
        digest.update(np.ascontiguousarray(dataset.images))
    else:
        return None
    return digest.hexdigest()


def changed(header: dict) -> bool:
    """Whether the images of a token cache's header have other names, sizes or times today.

    Raises:
        UserError: They cannot be reached, or the header does not say what they were like.
    """
    recipe = header.get('recipe')
    spec = recipe.get('dataset') if isinstance(recipe, dict) else None
    spec = spec if isinstance(spec, dict) else {}
    # Earlier headers have the fingerprint alone, which leaves out what could not be read.
    then = header.get('listing') or (spec.get('on_error') != 'skip' and header.get('fingerprint'))
    if not then:
        raise UserError('the cache does not say what they were like.')
    return _listing(spec) != then


def _listing(spec: dict) -> str | None:
    """The fingerprint of all images that a data set's config names, those too that cannot be read:
    which these are, only reading all of them would say.

    The config comes from a file: its type must be the name of a registered data set of images,
    where a registry's ``build`` would import and call anything.

    Raises:
        UserError: The images cannot be reached.
    """
    kind = DATASETS.module_dict.get(str(spec.get('type')))
    if not (isinstance(kind, type) and issubclass(kind, ImageDataset)):
        raise UserError(f'{spec.get("type")} is no data set of images that is known here.')
    try:
        return fingerprint(
            kind(**{key: spec[key] for key in spec if key not in ('type', 'pipeline', 'on_error')})
        )
    except (OSError, TypeError, ValueError) as error:
        raise UserError(str(error)) from error
