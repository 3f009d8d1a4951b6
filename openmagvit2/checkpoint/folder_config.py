"""What the ``config.json`` of a model folder may say: it may come from anyone."""

import math
from typing import Any

from openmagvit2 import registry
from openmagvit2.config.checks import check as check_keys
from openmagvit2.errors import UserError

# Keys with which mmengine imports code or reads other files.
FORBIDDEN = ('_scope_', '_base_', '_delete_', 'custom_imports', 'checkpoint', 'init_cfg')
# Sizes of no model: above, memory or time is what a stranger is after.
LARGEST, LONGEST = 2**24, 2**16
# Arguments that say how many parts are built in a row, and their largest value: a million
# small parts take minutes before their weights are missed.
REPEATS = (
    'num_layers',
    'num_res_blocks',
    'num_downsamples',
    'num_upsamples',
    'num_stages',
    'num_phi',
    'depth',
    'channel_multipliers',
)
MOST = 128
# Entries beside the model, which build nothing.
ENTRIES = {
    'library_name': str,
    'library_version': str,
    'name': str,
    'model': dict,
    'eval_sampling': dict,
    'dataset_meta': dict,
    'weights': str,
    'weights_sha256': str,
}


def check(config: Any, source: str) -> None:
    """Check that a config builds registered classes from plain values, and reads no file.

    Args:
        config: Content of the file.
        source: Its name, for errors.

    Raises:
        UserError: An entry is unknown; a ``type`` is not the plain name of a registered class; a
            key or a value could import code or open a file.
    """
    if not isinstance(config, dict) or not isinstance(config.get('model'), dict):
        raise UserError(f'{source} holds no config with a `model`.')
    for key, value in config.items():
        if key not in ENTRIES:
            raise UserError(f'{source}: unknown entry {key!r}; known: {", ".join(ENTRIES)}.')
        if not isinstance(value, ENTRIES[key]):
            raise UserError(f'{source}: {key} must be a {ENTRIES[key].__name__}, got {value!r}.')
    # What samples is built from its settings too.
    for key in ('model', 'eval_sampling'):
        _check_below(config.get(key), key, source)
    try:
        check_keys(dict(model=config['model']))
    except UserError as error:
        raise UserError(f'{source}: {error}') from error


def _check_below(value: Any, path: str, source: str) -> None:
    """Check a value and what it contains."""
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str) or key in FORBIDDEN:
                raise UserError(f'{source}: {path}.{key} has no place in a model folder.')
            _check_below(item, f'{path}.{key}', source)
            if key in REPEATS:
                _check_repeats(item, f'{path}.{key}', source)
        if 'type' in value:
            _check_type(value['type'], path, source)
    elif isinstance(value, (list, tuple)):
        if len(value) > LONGEST:
            raise UserError(f'{source}: {path} has {len(value)} entries; {LONGEST} are the most.')
        for i, item in enumerate(value):
            _check_below(item, f'{path}.{i}', source)
    elif isinstance(value, str):
        if any(sign in value for sign in '/\\:~'):
            raise UserError(
                f'{source}: {path} is {value!r}, which may be a path; a model folder names none.'
            )
    elif isinstance(value, int) and abs(value) > LARGEST and not path.endswith('.seed'):
        raise UserError(f'{source}: {path} is {value}, which is no size of a model.')
    elif not (value is None or isinstance(value, (bool, int)) or _is_number(value)):
        raise UserError(f'{source}: {path} must be a plain value, got {value!r}.')


def _check_repeats(value: Any, path: str, source: str) -> None:
    """Check how often parts are repeated."""
    if isinstance(value, (list, tuple)) and len(value) > MOST:
        raise UserError(f'{source}: {path} has {len(value)} entries; {MOST} are the most.')
    for number in value if isinstance(value, (list, tuple)) else [value]:
        if isinstance(number, int) and number > MOST:
            raise UserError(f'{source}: {path} is {number}; {MOST} are the most.')


def _check_type(kind: Any, path: str, source: str) -> None:
    slots = [*registry.SLOTS.values(), registry.MODELS]
    if not isinstance(kind, str) or not any(kind in slot.names() for slot in slots):
        raise UserError(
            f'{source}: {path}.type is {kind!r}, which is no registered part; where it is one of '
            f'your own, import its module first.'
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, float) and math.isfinite(value)
