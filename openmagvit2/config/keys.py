"""Keys that no class declares: those at the top of a config, and of mmengine's settings."""

import difflib
import functools
import inspect
from collections.abc import Collection, Iterator
from typing import Any

from torch.utils.data import DataLoader

from openmagvit2.config.slots import class_of, known_keys, walk
from openmagvit2.errors import UserError
from openmagvit2.signatures import accepted

# Hooks that mmengine's Runner has by default, which a name like theirs would not replace.
DEFAULT_HOOKS = {'runtime_info', 'timer', 'sampler_seed', 'logger', 'param_scheduler', 'checkpoint'}
# Samplers shuffle, and no config can write a generator.
DATALOADER = accepted(DataLoader) - {'shuffle', 'generator'} | {'num_batch_per_epoch'}
# Keys of mmengine's dicts without a `type`, by path.
SETTINGS = {
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


def known_below(path: str) -> Collection[str]:
    """Return the keys that mmengine reads in a dict without a ``type``; '' is the whole config."""
    if not path:
        return top_level()
    return DEFAULT_HOOKS if path == 'default_hooks' else settings(path) or ()


def settings(path: str) -> set[str] | None:
    """Return all keys of one of mmengine's dicts without a ``type``; None where others may be."""
    return DATALOADER if path.endswith('_dataloader') else SETTINGS.get(path)


def unknown(
    path: str, known: Collection[str], where: str = ' there', hint: str | None = None
) -> str:
    """Return the error text for an unknown key.

    Args:
        path: The key; its last part is compared with the known ones.
        known: The keys that there are.
        where: What has them, as ' of LFQ'.
        hint: Advice in place of the nearest known key.
    """
    hint = f' {hint}.' if hint else f' {nearest(path, known)}'.rstrip()
    return f'Unknown config key `{path}`:{hint} Known{where}: {", ".join(sorted(known))}.'


def nearest(path: str, known: Collection[str]) -> str:
    """Return the question for the known key that is most like a path's last part; may be empty."""
    near = difflib.get_close_matches(path.rpartition('.')[2], known, n=1, cutoff=0)
    return f'did you mean `{near[0]}`?' if near else ''


def check_top(config: dict) -> None:
    """Check the names at the top of a config.

    Raises:
        UserError: One is a mistake; see :func:`mistake_at_top`.
    """
    for key, value in config.items():
        why = mistake_at_top(key, value, config)
        # If the value occurs elsewhere, it is a variable whose use a merged config no longer shows.
        if why and not _occurs(value, key, config):
            raise UserError(why)


def mistake_at_top(key: str, value: Any, config: dict) -> str | None:
    """Return the error text for a top-level key that looks like a mistake, or None.

    Any other name is a variable of the user's.

    Args:
        key, value: A top-level entry.
        config: The whole config.
    """
    if key in top_level() or key == 'type':
        return None
    if difflib.get_close_matches(key, top_level(), n=1, cutoff=0.85):
        return unknown(key, top_level())
    for path, name in _takers(key, config):
        return (
            f'Unknown config key `{key}` at the top level: it is an argument of {name}; '
            f'did you mean `{path}.{key}`? Give a variable of your own another name.'
        )
    items = value if isinstance(value, (list, tuple)) else [value]
    if any(isinstance(item, dict) and 'type' in item for item in items):
        return (
            f'Unknown config key `{key}` at the top level: a dict with a `type` is not built '
            f'there. {nearest(key, top_level())} Known there: {", ".join(sorted(top_level()))}.'
        )
    return None


def _takers(key: str, config: dict) -> Iterator[tuple[str, str]]:
    """Yield (path, class name) of each dict of a config whose class has an argument ``key``."""
    built = {name: value for name, value in config.items() if name in top_level()}
    for path, node, place in walk(built):
        if key in (known_keys(place, node, path) or ()):
            cls = class_of(place, node)
            assert cls is not None
            kind = node.get('type', cls)
            yield path, kind if isinstance(kind, str) else kind.__name__


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
