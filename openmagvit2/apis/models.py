"""The models that ship as configs, and what is known of them."""

import difflib
import fnmatch
from pathlib import Path
from typing import Any

import yaml

from openmagvit2.errors import UserError
from openmagvit2.io import usable

PACKAGE = Path(__file__).parents[1]
METAFILE = 'metafile.yml'


def configs_folder() -> Path:
    """Return the shipped configs: those of the clone, or those inside an installed wheel.

    Raises:
        UserError: There are neither, as where the package's folder was copied alone.
    """
    # A wheel's come first: beside an installed package, `configs` is somebody else's.
    for folder in (PACKAGE / '.mim' / 'configs', PACKAGE.parent / 'configs'):
        if folder.is_dir():
            return folder
    raise UserError(
        f'The configs of openmagvit2 are not beside {PACKAGE}: install it with pip, or give paths '
        f'of configs.'
    )


def list_models(pattern: str = '*') -> list[str]:
    """Return the names of the shipped configs, sorted; each stands in the place of a config's path
    in :func:`init_model` and the front door.

    Args:
        pattern: Shell pattern over the whole name, as ``'ar_*'`` or ``'*fsq*'``; ``'*'`` crosses
            folders.

    Raises:
        UserError: The package stands without its configs.
    """
    root = configs_folder()
    names = [path.relative_to(root).with_suffix('').as_posix() for path in root.rglob('*.py')]
    return sorted(
        name for name in names if not name.startswith('_base_/') and fnmatch.fnmatch(name, pattern)
    )


def model_info(name: str) -> dict[str, Any] | None:
    """Return what is known of a shipped model beside its config.

    Args:
        name: From :func:`list_models`.

    Returns:
        Its entry in the ``metafile.yml`` beside the config: ``name``, ``config``, ``row`` of the
        paper, ``expected`` (published results with protocol and source), ``measured``, and
        ``official`` (``file``, ``repository``, ``sha256``, ``converter``). None for configs
        without one, such as those in ``tiny/``.
    """
    folder = (configs_folder() / name).parent
    file = usable(folder / METAFILE)
    if not file.is_file():
        return None
    return next((entry for entry in _entries(file) if entry['name'] == name), None)


def published_files() -> list[tuple[str, dict[str, Any]]]:
    """Return each file that a system's authors published, with the name of its config.

    Returns:
        Pairs of a name from :func:`list_models` and ``file``, ``repository``, ``sha256`` and
        ``converter`` of a metafile; of several configs of one file the first.
    """
    found: dict[tuple, tuple[str, dict[str, Any]]] = {}
    for metafile in sorted(configs_folder().rglob(METAFILE)):
        for entry in _entries(metafile):
            official = entry['official'] or []
            for file in official if isinstance(official, list) else [official]:
                key = file['file'], file['repository'], file['converter']
                found.setdefault(key, (entry['name'], file))
    return list(found.values())


def _entries(metafile: Path) -> list[dict[str, Any]]:
    return yaml.safe_load(metafile.read_text(encoding='utf-8'))['models']


def config_path(config: str | Path) -> Path:
    """Return the file of a path, or of a name from :func:`list_models`.

    Raises:
        UserError: It is neither.
    """
    path = Path(config)
    # What is wrong with a path, the reader of configs says.
    if path.suffix == '.py' or usable(path).exists():
        return path
    shipped = usable(configs_folder() / f'{config}.py')
    if shipped.is_file():
        return shipped
    near = difflib.get_close_matches(str(config), list_models(), n=1)
    question = f'; did you mean {near[0]}?' if near else '; list_models() returns the names.'
    raise UserError(f'Config {config} does not exist{question}')
