"""The models that ship as configs."""

import fnmatch
from pathlib import Path

from openmagvit2.errors import UserError

CONFIGS = Path(__file__).parents[2] / 'configs'


def list_models(pattern: str = '*') -> list[str]:
    """Names of the shipped configs, sorted; each stands in the place of a config's path in
    :func:`init_model` and the front door.

    Args:
        pattern: Shell pattern over the whole name, as ``'ar_*'`` or ``'*fsq*'``; ``'*'`` crosses
            folders.

    Raises:
        UserError: The package stands without its ``configs`` folder.
    """
    if not CONFIGS.is_dir():
        raise UserError(
            f'{CONFIGS} does not exist: install from a clone with `pip install -e .`, or give '
            f'paths of configs.'
        )
    names = [path.relative_to(CONFIGS).with_suffix('').as_posix() for path in CONFIGS.rglob('*.py')]
    return sorted(
        name for name in names if not name.startswith('_base_/') and fnmatch.fnmatch(name, pattern)
    )


def config_path(config: str | Path) -> Path:
    """The file of a path, or of a name from :func:`list_models`."""
    shipped = CONFIGS / f'{config}.py'
    return Path(config) if Path(config).is_file() or not shipped.is_file() else shipped
