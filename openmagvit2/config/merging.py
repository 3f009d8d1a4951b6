"""Merging of configs, including changes of a ``type``."""

from mmengine.logging import print_log

from openmagvit2.config.slots import Place, known_keys, place_of
from openmagvit2.errors import UserError

# A training has one length: either replaces the inherited other one.
LENGTHS = dict(max_iters='max_epochs', max_epochs='max_iters')


def merge(base: dict, child: dict, path: str = '', place: Place = None) -> dict:
    """Merge ``child`` into a copy of ``base``, dict by dict.

    ``_delete_=True`` in a dict of the child discards the inherited one.

    Args:
        base, child: Two dicts of configs.
        path, place: Their position in the config; by default, they are whole configs.
    """
    if child.get('_delete_'):
        return {key: value for key, value in child.items() if key != '_delete_'}
    result = dict(base)
    old, new = base.get('type'), child.get('type')
    if old is not None and new is not None and old != new:
        result = _keep_accepted(base, new, path, place)
    node = base | child
    for key, value in child.items():
        here = f'{path}.{key}' if path else key
        inherited = result.get(key)
        if isinstance(value, dict) and isinstance(inherited, dict):
            result[key] = merge(inherited, value, here, place_of(place, node, key))
        elif isinstance(value, dict) and isinstance(inherited, (list, tuple)):
            result[key] = _merge_list(inherited, value, here, place_of(place, node, key))
        else:
            result[key] = value
    for length, other in LENGTHS.items():
        inherits = other not in child and base.get(other) is not None
        if child.get(length) is not None and length in result and inherits:
            result[other] = None
    return result


def _keep_accepted(base: dict, kind: str, path: str, place: Place) -> dict:
    known = known_keys(place, dict(type=kind), path)
    dropped = [key for key in base if known is not None and key not in known]
    if dropped:
        changed = f'{path}: {base["type"]} → {kind}, dropped {", ".join(dropped)}'
        print_log(changed, 'current')
    return {key: value for key, value in base.items() if key not in dropped}


def _merge_list(inherited: list | tuple, items: dict, path: str, place: Place) -> list:
    result = list(inherited)
    for key, value in items.items():
        if not str(key).isdecimal() or int(key) >= len(result):
            raise UserError(
                f'{path}.{key}: `{path}` is a list of length {len(result)}; use the position of '
                f'an element.'
            )
        old = result[int(key)]
        both = isinstance(old, dict) and isinstance(value, dict)
        result[int(key)] = merge(old, value, f'{path}.{key}', place) if both else value
    return result
