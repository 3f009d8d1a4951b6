"""Which keys a config may have."""

import difflib
import functools
import inspect
from collections.abc import Iterator
from typing import Any

from torch.utils.data import DataLoader

from openmagvit2.config.annotations import check_argument, check_kind
from openmagvit2.config.slots import MMENGINE, Place, known_keys, place_of
from openmagvit2.config.values import (
    START_METHODS,
    check_typed,
    check_value,
    check_whole,
    check_workers,
)
from openmagvit2.errors import UserError, check_choice
from openmagvit2.protocols import Hinting
from openmagvit2.registry import MODELS, SLOTS, Slot
from openmagvit2.signatures import Count, Weight, accepted

# Samplers shuffle, and no config can write a generator.
DATALOADER = accepted(DataLoader) - {'shuffle', 'generator'} | {'num_batch_per_epoch'}
LOADER_KINDS: dict[str, Any] = dict(
    **dict.fromkeys(('pin_memory', 'persistent_workers', 'in_order'), bool | None),
    drop_last=bool,
    **dict.fromkeys(('prefetch_factor', 'num_batch_per_epoch'), Count | None),
    timeout=Weight,
    worker_init_fn=dict,
)
NEEDING_WORKERS = ('persistent_workers', 'prefetch_factor', 'timeout', 'multiprocessing_context')
# Known keys of dicts without a `type`: those of mmengine.
KNOWN_KEYS = {
    'env_cfg': {
        'cudnn_benchmark',
        'float32_matmul_precision',
        'mp_cfg',
        'dist_cfg',
        'resource_limit',
    },
    'env_cfg.dist_cfg': {'backend', 'timeout', 'heartbeat', 'port'},
    'env_cfg.mp_cfg': {'mp_start_method', 'opencv_num_threads'},
    'custom_imports': {'imports', 'allow_failed_imports'},
    'randomness': {'seed', 'deterministic', 'diff_rank_seed'},
}
# Hooks that mmengine's Runner has by default, which a name like theirs would not replace.
DEFAULT_HOOKS = {'runtime_info', 'timer', 'sampler_seed', 'logger', 'param_scheduler', 'checkpoint'}
# Registries all of whose configs name their class; of the second ones none is a dict of parts.
TYPED = ('dataset', 'parameter scheduler', 'hook', 'loop', 'metric')
ALONE = ('dataset', 'data sampler', 'function', 'transform', 'visualizer', 'vis_backend')
# Seeds go to torch, numpy and Python; numpy has the smallest range.
LARGEST_SEED = 2**32 - 1


@functools.cache
def top_level() -> frozenset[str]:
    """Keys that a config may have at its top: those of mmengine's Runner, and our own."""
    # Takes a second to import, which what only asks for names need not wait for.
    from mmengine.runner import Runner

    return frozenset(inspect.signature(Runner.__init__).parameters) - {'self'} | {
        'global_batch_size',
        'seed',
        'custom_imports',
        'eval_sampling',
        'eval_rejection',
        'sync_bn',
        'model_wrapper_cfg',
    }


def check(config: dict) -> None:
    """Check each dict with a ``type`` against the constructor of its class, and keys of known sets.

    Raises:
        UserError: Naming the key and the nearest known one.
    """
    _check_top(config)
    _check_below(config, '', None)


def _check_below(node: dict, path: str, place: Place) -> None:
    cls = place.registry.find(node.get('type')) if isinstance(place, Slot) else place
    for key, value in node.items():
        here = f'{path}.{key}' if path else key
        if key == 'seed':
            _check_seed(here, value)
        check_value(here, value)
        if path == 'default_hooks' and key not in DEFAULT_HOOKS:
            _check_hook(here, key)
        if key.endswith('_dataloader') and isinstance(value, dict):
            _check_dataloader(here, value)
        if here in KNOWN_KEYS and value is not None:
            _check_settings(here, value)
        inner = place_of(place, node, key)
        if isinstance(inner, Slot):
            _check_part(here, value, inner, place)
        for suffix, item in dicts(key, value):
            _check_dict(here + suffix, item, inner)
            _check_below(item, here + suffix, inner)
        check_argument(here, value, cls, _slot_name(inner))


def known_below(path: str) -> set[str]:
    """Return the keys that mmengine reads in a dict without a ``type``."""
    return DEFAULT_HOOKS if path == 'default_hooks' else KNOWN_KEYS.get(path, set())


def is_suspicious(key: str, value: Any, config: dict) -> str | None:
    """Return the error text for a top-level key that looks like a mistake, or None.

    Args:
        key, value: A top-level entry.
        config: The whole config.
    """
    if key in top_level() or key == 'type':
        return None
    if difflib.get_close_matches(key, top_level(), n=1, cutoff=0.85):
        return unknown(key, key, top_level())
    takers = [found for found in _built(config) if key in found[2]]
    if takers:
        path, name, _ = takers[0]
        return (
            f'Unknown config key `{key}` at the top level: it is an argument of {name}; '
            f'did you mean `{path}.{key}`? Give a variable of your own another name.'
        )
    if any('type' in item for _, item in dicts(key, value)):
        return (
            f'Unknown config key `{key}` at the top level: a dict with a `type` is not built '
            f'there. {_nearest(key, top_level())} Known there: {", ".join(sorted(top_level()))}.'
        )
    return None


def unknown(path: str, key: str, known: set[str], where: str = '', hint: str | None = None) -> str:
    """Return the error text for an unknown key."""
    hint = f' {hint}.' if hint else f' {_nearest(key, known)}'.rstrip()
    listed = ', '.join(sorted(known))
    return f'Unknown config key `{path}`:{hint} Known{where or " there"}: {listed}.'


def dicts(key: str, value: Any) -> list[tuple[str, dict]]:
    """List the dicts in a value as (path suffix, dict): itself, or the elements of a list."""
    if isinstance(value, dict):
        return [('', value)]
    if isinstance(value, (list, tuple)):
        return [(f'.{i}', item) for i, item in enumerate(value) if isinstance(item, dict)]
    return []


def _check_top(config: dict) -> None:
    for key, value in config.items():
        why = is_suspicious(key, value, config)
        # If the value occurs elsewhere, it is a variable whose use a merged config no longer shows.
        if why and not _occurs(value, key, config):
            raise UserError(why)


def _occurs(value: Any, name: str, config: dict) -> bool:
    """Return whether a value occurs elsewhere: a dict anywhere, others under the same name."""
    rest = {key: item for key, item in config.items() if key != name}

    def within(key: str, item: Any) -> bool:
        """Return whether the value stands in an item of that key, or below it."""
        if (key == name or isinstance(value, (dict, list))) and item == value:
            return True
        if isinstance(item, dict):
            return any(within(*pair) for pair in item.items())
        return isinstance(item, (list, tuple)) and any(within('', part) for part in item)

    return within('', rest)


def _built(node: dict, path: str = '', place: Place = None) -> Iterator[tuple[str, str, set]]:
    """Yield (path, class name, arguments) of each dict that configures a class, outer first."""
    for key, value in node.items():
        if not path and key not in top_level():
            continue
        inner = place_of(place, node, key)
        for suffix, item in dicts(key, value):
            here = f'{path}.{key}{suffix}' if path else key + suffix
            known = known_keys(inner, item, here)
            if known is not None:
                yield here, _name(item) if 'type' in item else inner.__name__, known
            yield from _built(item, here, inner)


def _name(item: dict) -> str:
    return item['type'] if isinstance(item['type'], str) else item['type'].__name__


def _check_settings(path: str, value: Any) -> None:
    """Check a dict of settings of mmengine, whose keys are known."""
    if not isinstance(value, dict):
        raise UserError(f'{path} must be a dict, got {value!r}.')
    for name in set(value) - KNOWN_KEYS[path]:
        raise UserError(unknown(f'{path}.{name}', name, KNOWN_KEYS[path]))


def _check_dict(path: str, value: dict, place: Place) -> None:
    if place is None and 'type' in value and not _is_mmengines(path):
        raise UserError(
            f'Unknown config key `{path}`: a dict with a `type` ({_name(value)}) is not built '
            f'there. {_nearest(path.rpartition(".")[2], set(MMENGINE))} A class lists in `slots` '
            f'which of its arguments are parts.'
        )
    needed = _is_mmengine_slot(place) or path == 'model'
    if needed and value.get('type', '') is None:
        raise UserError(f'{path}.type must be the name of a class, got None.')
    if isinstance(place, Slot) and place.registry.name in TYPED:
        check_typed(path, value, place.registry.name)
    alone = isinstance(place, Slot) and place.registry.name in ALONE
    if alone and value.get('type') is None or _is_listed(path) and 'type' not in value:
        raise UserError(f'{path} must be a dict with a `type`, got {value!r}.')
    known = known_keys(place, value, path)
    for key in value:
        if known is not None and key not in known:
            cls = place.registry.find(value['type']) if isinstance(place, Slot) else place
            hint = cls.KEY_HINTS.get(key) if isinstance(cls, Hinting) else None
            where = f' of {cls.__name__}'
            raise UserError(unknown(f'{path}.{key}', key, known - {'type'}, where, hint))


def _check_part(path: str, value: Any, slot: Slot, place: Place) -> None:
    """Check that what configures a part is a dict, or several; objects are left to mmengine."""
    if isinstance(value, str) and slot.registry.find(value):
        raise UserError(f'{path} must be a dict, as dict(type={value!r}), got {value!r}.')
    if place is not None:
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


def _is_mmengine_slot(place: Place) -> bool:
    """Return whether mmengine builds the parts of a place; in others a ``type`` of None removes."""
    return isinstance(place, Slot) and place.registry.name not in {*SLOTS, MODELS.name}


def _slot_name(place: Place) -> str:
    return f' of the {place.registry.name} slot' if isinstance(place, Slot) else ''


def _check_hook(path: str, key: str) -> None:
    """Raise UserError if a name is nearly that of a default hook; others add a hook."""
    if difflib.get_close_matches(key, DEFAULT_HOOKS, n=1, cutoff=0.75):
        raise UserError(unknown(path, key, DEFAULT_HOOKS))


def _is_mmengines(path: str) -> bool:
    """Return whether a dict with a ``type`` outside of all slots is a variable or mmengine's."""
    parts = path.split('.')
    top = parts[0]
    return (
        len(parts) == 1
        or top not in top_level()
        or top == 'optim_wrapper'
        or parts[1].isdecimal()
        or (top.endswith('_dataloader') and parts[1] in DATALOADER)
    )


def _check_seed(path: str, value: Any) -> None:
    if value is None and path != 'seed':
        return
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LARGEST_SEED:
        raise UserError(f'{path} must be a whole number from 0 to {LARGEST_SEED}, got {value!r}.')


def _check_dataloader(path: str, value: dict) -> None:
    if path == 'train_dataloader' and 'batch_size' in value:
        raise UserError(
            'train_dataloader.batch_size is not a key here: set global_batch_size, which is '
            'divided by processes and accumulation.'
        )
    for key in value:
        if key not in DATALOADER:
            raise UserError(unknown(f'{path}.{key}', key, DATALOADER))
    check_whole(f'{path}.batch_size', value.get('batch_size', 1) or 0, 1)
    if path != 'train_dataloader' and value.get('dataset', 0) is None:
        raise UserError(f'{path}.dataset is None; set {path}=None for no images.')
    for key in value.keys() & LOADER_KINDS.keys():
        check_kind(f'{path}.{key}', value[key], LOADER_KINDS[key])
    context = value.get('multiprocessing_context')
    check_choice(f'{path}.multiprocessing_context', context, START_METHODS)
    workers = value.get('num_workers', 0)
    check_workers(f'{path}.num_workers', workers)
    for key in NEEDING_WORKERS:
        if value.get(key) and not workers:
            raise UserError(
                f'{path}.{key}={value[key]} needs worker processes, and {path}.num_workers is 0: '
                f'raise that, or remove {path}.{key}.'
            )


def _nearest(key: str, known: set[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1, cutoff=0)
    return f'did you mean `{near[0]}`?' if near else ''
