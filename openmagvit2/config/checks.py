"""The check of a merged config: keys, values and parts of each dict.

``keys.py`` knows which keys a dict may have; ``values.py`` and, for arguments of classes,
``annotations.py`` check values.
"""

import inspect
from typing import Any

from openmagvit2.config.annotations import check_argument
from openmagvit2.config.keys import check_top, keys_of, nearest, top_level, unknown
from openmagvit2.config.slots import MMENGINE, Place, class_of, entries, walk
from openmagvit2.config.values import check_dataloader, check_typed, check_value
from openmagvit2.errors import UserError
from openmagvit2.protocols import Hinting
from openmagvit2.registry import MODELS, SLOTS, Slot

# Registries whose configs all name a class; those of ALONE cannot be dicts of parts by name either.
TYPED = ('dataset', 'parameter scheduler', 'hook', 'loop', 'metric', 'model_wrapper')
ALONE = ('dataset', 'data sampler', 'function', 'transform', 'visualizer', 'vis_backend')


def check(config: dict) -> None:
    """Raise UserError if a key or value is wrong; the message names the most similar known key."""
    check_top(config)
    for path, node, place in walk(config):
        _check_dict(path, node, place)
        for here, value, inner in entries(path, node, place):
            check_value(here, value)
            if isinstance(inner, Slot):
                _check_part(here, value, inner, place)
        if path.endswith('_dataloader'):
            check_dataloader(path, node)
    # Arguments come last: a wrong type may be due to a part in the wrong place.
    for path, node, place in walk(config):
        cls = class_of(place, node)
        for here, value, inner in entries(path, node, place):
            of = f' of the {inner.registry.name} slot' if isinstance(inner, Slot) else ''
            check_argument(here, value, cls, of)


def _check_dict(path: str, node: dict, place: Place) -> None:
    """Check that a dict is allowed in its place, and that its keys are."""
    registry = place.registry.name if isinstance(place, Slot) else None
    kind, top = node.get('type'), path.partition('.')[0]
    # Variables may hold anything, and the constructor of the optimizers builds its own parts.
    free = top == path or top not in top_level() or top == 'optim_wrapper'
    if place is None and 'type' in node and not free:
        name = kind.__name__ if inspect.isclass(kind) else kind
        raise UserError(
            f'Unknown config key `{path}`: a dict with a `type` ({name}) is not built there. '
            f'{nearest(path, MMENGINE)} A class lists in `slots` which of its arguments are parts.'
        )
    # In our own slots, `type=None` removes the part.
    mmengines = registry is not None and registry not in {*SLOTS, MODELS.name}
    if (mmengines or path == 'model') and 'type' in node and kind is None:
        raise UserError(f'{path}.type must be the name of a class, got None.')
    if registry in TYPED:
        check_typed(path, node, registry)
    if (registry in ALONE and kind is None) or (_is_listed(path) and 'type' not in node):
        raise UserError(f'{path} must be a dict with a `type`, got {node!r}.')
    keys, cls = keys_of(path, node, place), class_of(place, node)
    # `check_top` has checked the keys at the top, where variables are allowed.
    for key in node if path else ():
        if keys.is_mistake(key):
            of = f' of {cls.__name__}' if cls else ' there'
            hint = cls.KEY_HINTS.get(key) if isinstance(cls, Hinting) else None
            raise UserError(unknown(f'{path}.{key}', set(keys.known) - {'type'}, of, hint))


def _check_part(path: str, value: Any, slot: Slot, owner: Place) -> None:
    """Check that the config of a part is a dict, or several; mmengine checks objects."""
    if slot.registry.registered(value) is not None:
        raise UserError(f'{path} must be a dict such as dict(type={value!r}), got {value!r}.')
    if owner is not None:
        # A loss may be a number, and a class of another package may accept names.
        return
    for item in value if isinstance(value, (list, tuple)) else [value]:
        nothing = item is not value and isinstance(item, (list, tuple, type(None)))
        if nothing or isinstance(item, (str, int, float)):
            raise UserError(
                f'{path} is in the {slot.registry.name} slot, whose parts are dicts with a '
                f'`type`; got {item!r}.'
            )


def _is_listed(path: str) -> bool:
    """Return whether a dict is one of several parts of a top-level key, such as metrics."""
    top, _, name = path.partition('.')
    named = top == 'default_hooks' and name != '' and '.' not in name
    return named or (top in MMENGINE and name.isdecimal())
