"""The check of a merged config, dict by dict: its keys, their values, and its parts.

``keys.py`` and the classes that ``slots.py`` finds say which keys a dict may have; ``values.py``,
``dataloaders.py`` and, for arguments of classes, ``annotations.py`` check the values.
"""

import difflib
import inspect
from typing import Any

from openmagvit2.config.annotations import check_argument
from openmagvit2.config.dataloaders import check_dataloader
from openmagvit2.config.keys import (
    DATALOADER,
    DEFAULT_HOOKS,
    SETTINGS,
    check_top,
    nearest,
    settings,
    top_level,
    unknown,
)
from openmagvit2.config.slots import MMENGINE, Place, class_of, entries, known_keys, walk
from openmagvit2.config.values import check_typed, check_value
from openmagvit2.errors import UserError
from openmagvit2.protocols import Hinting
from openmagvit2.registry import MODELS, SLOTS, Slot

# Registries all of whose configs name their class; of the second ones none is a dict of parts.
TYPED = ('dataset', 'parameter scheduler', 'hook', 'loop', 'metric')
ALONE = ('dataset', 'data sampler', 'function', 'transform', 'visualizer', 'vis_backend')


def check(config: dict) -> None:
    """Check each dict with a ``type`` against the constructor of its class, and keys of known sets.

    Raises:
        UserError: Naming the key and the nearest known one.
    """
    check_top(config)
    for path, node, place in walk(config):
        _check_dict(path, node, place)
        for here, value, inner in entries(path, node, place):
            _check_settings(here, value)
            check_value(here, value)
            if isinstance(inner, Slot):
                _check_part(here, value, inner, place)
    # Arguments come last: one of a wrong type may be a part in the wrong place.
    for path, node, place in walk(config):
        cls = class_of(place, node)
        for here, value, inner in entries(path, node, place):
            of = f' of the {inner.registry.name} slot' if isinstance(inner, Slot) else ''
            check_argument(here, value, cls, of)


def _check_dict(path: str, node: dict, place: Place) -> None:
    """Check that a dict may stand where it does, and has the keys that its class takes."""
    registry = place.registry.name if isinstance(place, Slot) else None
    kind = node.get('type')
    if place is None and 'type' in node and not _may_have_a_type(path):
        name = kind.__name__ if inspect.isclass(kind) else kind
        raise UserError(
            f'Unknown config key `{path}`: a dict with a `type` ({name}) is not built there. '
            f'{nearest(path, MMENGINE)} A class lists in `slots` which of its arguments are parts.'
        )
    # In slots of our own a `type` of None removes the part.
    mmengines = registry is not None and registry not in {*SLOTS, MODELS.name}
    if (mmengines or path == 'model') and 'type' in node and kind is None:
        raise UserError(f'{path}.type must be the name of a class, got None.')
    if registry in TYPED:
        check_typed(path, node, registry)
    if (registry in ALONE and kind is None) or (_is_listed(path) and 'type' not in node):
        raise UserError(f'{path} must be a dict with a `type`, got {node!r}.')
    known = settings(path) if place is None else known_keys(place, node, path)
    cls = class_of(place, node)
    for key in node:
        if known is not None and key not in known:
            of = f' of {cls.__name__}' if cls else ' there'
            hint = cls.KEY_HINTS.get(key) if isinstance(cls, Hinting) else None
            raise UserError(unknown(f'{path}.{key}', known - {'type'}, of, hint))


def _check_settings(path: str, value: Any) -> None:
    """Check mmengine's dicts without a ``type``."""
    parent, _, key = path.rpartition('.')
    # Other names add a hook.
    if parent == 'default_hooks' and key not in DEFAULT_HOOKS:
        if difflib.get_close_matches(key, DEFAULT_HOOKS, n=1, cutoff=0.75):
            raise UserError(unknown(path, DEFAULT_HOOKS))
    if key.endswith('_dataloader') and isinstance(value, dict):
        check_dataloader(path, value)
    if path in SETTINGS and not isinstance(value, dict | None):
        raise UserError(f'{path} must be a dict, got {value!r}.')


def _check_part(path: str, value: Any, slot: Slot, owner: Place) -> None:
    """Check that what configures a part is a dict, or several; objects are left to mmengine."""
    if slot.registry.registered(value) is not None:
        raise UserError(f'{path} must be a dict, as dict(type={value!r}), got {value!r}.')
    if owner is not None:
        # A loss may be a number, and another package's class may take names.
        return
    for item in value if isinstance(value, (list, tuple)) else [value]:
        nothing = item is not value and isinstance(item, (list, tuple, type(None)))
        if nothing or isinstance(item, (str, int, float)):
            raise UserError(
                f'{path} is in the {slot.registry.name} slot, whose parts are dicts with a '
                f'`type`; got {item!r}.'
            )


def _is_listed(path: str) -> bool:
    """Return whether a dict is one of several parts at the top, as of metrics or hooks."""
    top, _, name = path.partition('.')
    named = top == 'default_hooks' and name != '' and '.' not in name
    return named or (top in MMENGINE and name.isdecimal())


def _may_have_a_type(path: str) -> bool:
    """Return whether a dict with a ``type`` outside of all slots is a variable or mmengine's."""
    top, *below = path.split('.')
    return (
        not below
        or top not in top_level()
        or top == 'optim_wrapper'
        or below[0].isdecimal()
        or (top.endswith('_dataloader') and below[0] in DATALOADER)
    )
