"""List the shipped configs and what their metafiles state."""

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
    """Return the folder of the shipped configs, in an installed wheel or in a clone.

    Raises:
        UserError: There is none, for example because only the package's folder was copied.
    """
    # The wheel's come first: a folder `configs` beside an installed package belongs to others.
    for folder in (PACKAGE / '.mim' / 'configs', PACKAGE.parent / 'configs'):
        if folder.is_dir():
            return folder
    raise UserError(
        f'The configs of openmagvit2 are not next to {PACKAGE}: install it with pip, or pass paths '
        f'of configs.'
    )


def list_models(pattern: str = '*') -> list[str]:
    """Return the names of the shipped configs, sorted.

    A name can replace the path of a config in :func:`init_model`, :class:`Tokenizer` and
    :class:`Generator`.

    Args:
        pattern: Shell pattern for the whole name, such as ``'ar_*'`` or ``'*fsq*'``; ``*`` matches
            slashes too.

    Raises:
        UserError: The configs are missing.
    """
    root = configs_folder()
    names = [path.relative_to(root).with_suffix('').as_posix() for path in root.rglob('*.py')]
    return sorted(
        name for name in names if not name.startswith('_base_/') and fnmatch.fnmatch(name, pattern)
    )


def model_info(name: str) -> dict[str, Any] | None:
    """Return the entry of a shipped config in the ``metafile.yml`` of its folder.

    Args:
        name: A name from :func:`list_models`.

    Returns:
        A dict with ``name``, ``config``, ``row`` of the paper, ``expected`` (published results with
        protocol and source), ``measured`` and ``official`` (``file``, ``repository``, ``sha256``,
        ``converter``). None for configs without an entry, such as those in ``tiny/``.
    """
    folder = (configs_folder() / name).parent
    file = usable(folder / METAFILE)
    if not file.is_file():
        return None
    return next((entry for entry in _entries(file) if entry['name'] == name), None)


def published_files() -> list[tuple[str, dict[str, Any]]]:
    """Return each file that authors of systems published, with the name of its config.

    Returns:
        Pairs of a name from :func:`list_models` and a dict with ``file``, ``repository``,
        ``sha256`` and ``converter``. For a file of several configs, the first is returned.
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
    # The loader in C is ten times as fast; not every build of PyYAML has it.
    loader = getattr(yaml, 'CSafeLoader', yaml.SafeLoader)
    return yaml.load(metafile.read_text(encoding='utf-8'), loader)['models']


def config_path(config: str | Path) -> Path:
    """Return the path of a config, given by its path or a name from :func:`list_models`.

    Raises:
        UserError: There is no such config.
    """
    path = Path(config)
    # The reader of configs reports what is wrong with a path.
    if path.suffix == '.py' or usable(path).exists():
        return path
    shipped = usable(configs_folder() / f'{config}.py')
    if shipped.is_file():
        return shipped
    near = difflib.get_close_matches(str(config), list_models(), n=1)
    question = f'; did you mean {near[0]}?' if near else '; list_models() returns the names.'
    raise UserError(f'Config {config} does not exist{question}')
