"""Which keys a dict of a config may have, and which names are mistakes at the top level."""

import difflib
import functools
import inspect
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from torch.utils.data import DataLoader

from openmagvit2.config.slots import Place, class_of, known_keys, walk
from openmagvit2.errors import UserError
from openmagvit2.signatures import accepted

# Names of the hooks that mmengine's Runner has by default; a misspelled name would add a hook.
DEFAULT_HOOKS = {'runtime_info', 'timer', 'sampler_seed', 'logger', 'param_scheduler', 'checkpoint'}
# Samplers shuffle, and a config cannot contain a generator.
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
    """Return the top-level keys of a config: those of mmengine's Runner, and our own."""
    # Importing this takes a second, and some callers only look up classes.
    from mmengine.runner import Runner

    return frozenset(inspect.signature(Runner.__init__).parameters) - {'self', 'cfg'} | {
        'global_batch_size',
        'seed',
        'custom_imports',
        'eval_sampling',
        'eval_rejection',
        'sync_bn',
        'model_wrapper_cfg',
    }


@dataclass(frozen=True)
class Keys:
    """The keys of a dict.

    Attributes:
        known: Keys that have a meaning.
        closed: Whether every other key is a mistake; otherwise one that resembles a known key is.
    """

    known: Collection[str]
    closed: bool

    def is_mistake(self, key: str) -> bool:
        """Return whether the dict must not have this key."""
        near = difflib.get_close_matches(str(key), self.known, n=1, cutoff=0.75)
        return key not in self.known and (self.closed or bool(near))


def keys_of(path: str, node: dict, place: Place) -> Keys:
    """Return which keys a dict may have.

    Args:
        path, node, place: As :func:`openmagvit2.config.slots.walk` yields them.

    Raises:
        UserError: Its ``type`` is not in the slot.
    """
    if place is None:
        known = DATALOADER if path.endswith('_dataloader') else SETTINGS.get(path)
    else:
        known = known_keys(place, node, path)
    if known is not None:
        return Keys(known, closed=True)
    if not path:
        return Keys(top_level(), closed=False)
    return Keys(DEFAULT_HOOKS if path == 'default_hooks' else (), closed=False)


def unknown(
    path: str, known: Collection[str], where: str = ' there', hint: str | None = None
) -> str:
    """Return the error message for an unknown key.

    Args:
        path: The key; its last part is compared with the known ones.
        known: The known keys.
        where: What has the known keys, such as ' of LFQ'.
        hint: Advice instead of the most similar known key.
    """
    hint = f' {hint}.' if hint else f' {nearest(path, known)}'.rstrip()
    return f'Unknown config key `{path}`:{hint} Known{where}: {", ".join(sorted(known))}.'


def nearest(path: str, known: Collection[str]) -> str:
    """Return a question about the known key that is most similar to the last part of a path, or ''
    if there are no known keys.
    """
    near = difflib.get_close_matches(path.rpartition('.')[2], known, n=1, cutoff=0)
    return f'did you mean `{near[0]}`?' if near else ''


def check_top(config: dict) -> None:
    """Raise UserError if a top-level name is a mistake; see :func:`mistake_at_top`."""
    for key, value in config.items():
        why = mistake_at_top(key, value, config)
        # If the value occurs elsewhere, the name is a variable: merged configs do not show its use.
        if why and not _occurs(value, key, config):
            raise UserError(why)


def mistake_at_top(key: str, value: Any, config: dict) -> str | None:
    """Return the error message for a top-level key that looks like a mistake, or None.

    Every other name is a variable of the user.

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
            f'did you mean `{path}.{key}`? Give your own variables other names.'
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
        """Return whether the value is an item of that key, or inside it."""
        if (key == name or isinstance(value, (dict, list))) and item == value:
            return True
        if isinstance(item, dict):
            return any(within(*pair) for pair in item.items())
        return isinstance(item, (list, tuple)) and any(within('', part) for part in item)

    return within('', rest)
