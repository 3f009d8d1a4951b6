"""Check the ``config.json`` of a model folder, which may be untrusted."""

import math
from typing import Any

from openmagvit2 import registry
from openmagvit2.config.checks import check as check_keys
from openmagvit2.errors import UserError, about

# Keys that make mmengine import code or read other files.
FORBIDDEN = ('_scope_', '_base_', '_delete_', 'custom_imports', 'checkpoint', 'init_cfg')
# Maximum number and maximum length of a list: no model needs more, and an attacker could exhaust
# memory or time.
LARGEST, LONGEST = 2**24, 2**16
# Arguments that say how many parts are built in a row, and their maximum: building a million small
# parts takes minutes, before anything notices that they have no weights.
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
# All entries and their types; only ``model`` builds something.
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
    """Raise UserError unless a config builds registered classes from plain values.

    It may neither import code nor open a file.

    Args:
        config: Content of the file.
        source: Name of the file, for errors.
    """
    if not isinstance(config, dict) or not isinstance(config.get('model'), dict):
        raise UserError(f'{source} has no config with a `model`.')
    for key, value in config.items():
        if key not in ENTRIES:
            raise UserError(f'{source}: unknown entry {key!r}; known: {", ".join(ENTRIES)}.')
        if not isinstance(value, ENTRIES[key]):
            raise UserError(f'{source}: {key} must be a {ENTRIES[key].__name__}, got {value!r}.')
    # The sampler is built from its settings too.
    for key in ('model', 'eval_sampling'):
        _check_below(config.get(key), key, source)
    with about(source):
        check_keys(dict(model=config['model']))


def _check_below(value: Any, path: str, source: str) -> None:
    """Raise UserError if a value or anything in it is not allowed."""
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str) or key in FORBIDDEN:
                raise UserError(f'{source}: {path}.{key} is not allowed in a model folder.')
            _check_below(item, f'{path}.{key}', source)
            if key in REPEATS:
                _check_repeats(item, f'{path}.{key}', source)
        if 'type' in value:
            _check_type(value['type'], path, source)
    elif isinstance(value, (list, tuple)):
        if len(value) > LONGEST:
            raise UserError(f'{source}: {path} has {len(value)} entries, more than {LONGEST}.')
        for i, item in enumerate(value):
            _check_below(item, f'{path}.{i}', source)
    elif isinstance(value, str):
        if any(sign in value for sign in '/\\:~'):
            raise UserError(
                f'{source}: {path} is {value!r}; a path is not allowed in a model folder.'
            )
    elif isinstance(value, int) and abs(value) > LARGEST and not path.endswith('.seed'):
        raise UserError(f'{source}: {path} is {value}, beyond {LARGEST}.')
    elif not (value is None or isinstance(value, (bool, int)) or _is_number(value)):
        raise UserError(f'{source}: {path} must be a plain value, got {value!r}.')


def _check_repeats(value: Any, path: str, source: str) -> None:
    """Raise UserError if a value repeats parts too often."""
    if isinstance(value, (list, tuple)) and len(value) > MOST:
        raise UserError(f'{source}: {path} has {len(value)} entries, more than {MOST}.')
    for number in value if isinstance(value, (list, tuple)) else [value]:
        if isinstance(number, int) and number > MOST:
            raise UserError(f'{source}: {path} is {number}, more than {MOST}.')


def _check_type(kind: Any, path: str, source: str) -> None:
    slots = [*registry.SLOTS.values(), registry.MODELS]
    if not isinstance(kind, str) or not any(kind in slot.names() for slot in slots):
        raise UserError(
            f'{source}: {path}.type is {kind!r}, which is not a registered part; if it is your '
            f'own, import its module first.'
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, float) and math.isfinite(value)
