"""Check whether images have changed since they were tokenized."""

from openmagvit2.datasets.base import ImageDataset
from openmagvit2.errors import UserError
from openmagvit2.registry import DATASETS


def changed(header: dict) -> bool:
    """Return whether the images of a token cache have other names, sizes or times now.

    Raises:
        UserError: They cannot be reached, or the header has no fingerprint.
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
    """Return the fingerprint of all images of a data set's config, unreadable ones included.

    Which images are unreadable would take reading all of them.

    The config comes from a file, so its type must be the name of a registered data set of images:
    a registry's ``build`` would import and call anything.

    Raises:
        UserError: The images cannot be reached.
    """
    kind = DATASETS.module_dict.get(str(spec.get('type')))
    if not (isinstance(kind, type) and issubclass(kind, ImageDataset)):
        raise UserError(f'{spec.get("type")} is no data set of images that is known here.')
    try:
        keys = spec.keys() - {'type', 'pipeline', 'on_error'}
        return kind(**{key: spec[key] for key in keys}).fingerprint()
    except (OSError, TypeError, ValueError) as error:
        raise UserError(str(error)) from error
