"""Which keys a config may have."""

import difflib
import inspect
from collections.abc import Iterator
from typing import Any

from mmengine.runner import Runner
from torch.utils.data import DataLoader

from openmagvit2 import registry
from openmagvit2.errors import UserError
from openmagvit2.signatures import accepted

# Which slot a dict with a `type` belongs to is told by its key.
SLOT_OF_KEY = dict(
    model=registry.MODELS,
    tokenizer=registry.MODELS,
    data_preprocessor=registry.MODELS,
    encoder=registry.ENCODERS,
    quantizer=registry.QUANTIZERS,
    decoder=registry.DECODERS,
    discriminator=registry.DISCRIMINATORS,
    reconstruction_loss=registry.LOSSES,
    perceptual_loss=registry.LOSSES,
    adversarial_loss=registry.LOSSES,
    lecam_loss=registry.LOSSES,
    factorization=registry.FACTORIZATIONS,
    backbone=registry.BACKBONES,
    head=registry.HEADS,
    dataset=registry.DATASETS,
    pipeline=registry.TRANSFORMS,
    sampler=registry.DATA_SAMPLERS,
    train_cfg=registry.LOOPS,
    val_cfg=registry.LOOPS,
    test_cfg=registry.LOOPS,
    features=registry.FEATURES,
    val_evaluator=registry.METRICS,
    test_evaluator=registry.METRICS,
    default_hooks=registry.HOOKS,
    custom_hooks=registry.HOOKS,
    optimizer=registry.OPTIMIZERS,
    param_scheduler=registry.PARAM_SCHEDULERS,
    model_wrapper_cfg=registry.MODEL_WRAPPERS,
    visualizer=registry.VISUALIZERS,
    vis_backends=registry.VISBACKENDS,
    log_processor=registry.LOG_PROCESSORS,
)
# Keys beside the constructor's arguments: a frozen tokenizer names its weights in its own dict.
EXTRA_KEYS = dict(
    param_scheduler={'convert_to_iter_based'},
    tokenizer={'checkpoint', 'seed'},
    default_hooks={'priority'},
    custom_hooks={'priority'},
)
TOP_LEVEL = set(inspect.signature(Runner.__init__).parameters) - {'self'} | {
    'global_batch_size',
    'seed',
    'custom_imports',
    'eval_sampling',
    'sync_bn',
    'model_wrapper_cfg',
}
DATALOADER = accepted(DataLoader) | {'num_batch_per_epoch'}
# Dicts without a `type` whose keys are known: mmengine's.
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
}
# Seeds go to torch, numpy and Python; numpy takes the fewest.
LARGEST_SEED = 2**32 - 1


def check(config: dict, path: str = '') -> None:
    """Check each dict with a ``type`` against the constructor of its class, and keys of known sets.

    Raises:
        UserError: Naming the key and the nearest known one.
    """
    if not path:
        _check_top(config)
    for key, value in config.items():
        here = f'{path}.{key}' if path else key
        if key == 'seed':
            _check_seed(here, value)
        if key.endswith('_dataloader') and isinstance(value, dict):
            _check_dataloader(here, value)
        for name in set(value) - KNOWN_KEYS[here] if _has_known(here, value) else ():
            raise UserError(unknown(f'{here}.{name}', name, KNOWN_KEYS[here]))
        for suffix, item in dicts(key, value):
            if 'type' in item:
                _check_typed(here + suffix, item, config)
            check(item, here + suffix)


def known_below(path: str) -> set[str]:
    """Keys that mmengine reads in a dict without a ``type``."""
    return KNOWN_KEYS.get(path, set())


def arguments(path: str, kind: Any) -> set[str] | None:
    """Keys that a dict with the ``type`` ``kind`` may have; None where its slot cannot be told."""
    key = slot_key(path)
    slot = SLOT_OF_KEY.get(key)
    if slot is None:
        return None
    cls = slot.get(kind) if isinstance(kind, str) else kind
    if cls is None:
        raise UserError(f'{path}: {slot.unknown(kind)}')
    return accepted(cls) | {'type'} | EXTRA_KEYS.get(key, set())


def slot_key(path: str) -> str:
    """The last part of a path that is a name of a slot: 'custom_hooks.0' is a hook."""
    parts = path.split('.')
    named = len(parts) > 1 and parts[-2] in ('default_hooks', 'param_scheduler')
    if len(parts) > 1 and (parts[-1].isdigit() or named):
        return slot_key('.'.join(parts[:-1]))
    return parts[-1]


def is_suspicious(key: str, value: Any, config: dict) -> str | None:
    """Why a top-level key of no known name looks like a mistake, as an error says it, or None.

    Args:
        key, value: Of the top level.
        config: All of it.
    """
    if key in TOP_LEVEL or key == 'type':
        return None
    if difflib.get_close_matches(key, TOP_LEVEL, n=1, cutoff=0.85):
        return unknown(key, key, TOP_LEVEL)
    places = [(place, item) for place, item in _typed(config) if _takes(place, item, key)]
    if places:
        place, item = places[0]
        return (
            f'Unknown config key `{key}` at the top level: it is an argument of {_name(item)}; '
            f'did you mean `{place}.{key}`? Another name is free for a variable of yours.'
        )
    if any('type' in item for _, item in dicts(key, value)):
        return (
            f'Unknown config key `{key}` at the top level: a dict with a `type` there is built by '
            f'nobody. {_nearest(key, TOP_LEVEL)} Known there: {", ".join(sorted(TOP_LEVEL))}.'
        )
    return None


def unknown(path: str, key: str, known: set[str], where: str = '', hint: str | None = None) -> str:
    """The error text for a key that is not known."""
    hint = f' {hint}.' if hint else f' {_nearest(key, known)}'.rstrip()
    listed = ', '.join(sorted(known))
    return f'Unknown config key `{path}`:{hint} Known{where or " there"}: {listed}.'


def dicts(key: str, value: Any) -> list[tuple[str, dict]]:
    """The dicts of a value, with what stands after its path: itself, or the elements of a list."""
    if isinstance(value, dict):
        return [('', value)]
    if isinstance(value, (list, tuple)):
        return [(f'.{i}', item) for i, item in enumerate(value) if isinstance(item, dict)]
    return []


def _check_top(config: dict) -> None:
    for key, value in config.items():
        why = is_suspicious(key, value, config)
        # The same value elsewhere: a variable whose use a merged config no longer shows.
        if why and not _occurs(value, key, config):
            raise UserError(why)


def _occurs(value: Any, name: str, config: dict) -> bool:
    """Whether a value stands elsewhere in a config: a dict anywhere, another value by its name."""
    rest = {key: item for key, item in config.items() if key != name}

    def within(key: str, item: Any) -> bool:
        if (key == name or isinstance(value, (dict, list))) and item == value:
            return True
        if isinstance(item, dict):
            return any(within(*pair) for pair in item.items())
        return isinstance(item, (list, tuple)) and any(within('', part) for part in item)

    return within('', rest)


def _typed(config: dict, path: str = '') -> Iterator[tuple[str, dict]]:
    """Each dict with a ``type`` of a config, with its path; outer ones first."""
    for key, value in config.items():
        if not path and key not in TOP_LEVEL:
            continue
        for suffix, item in dicts(key, value):
            here = f'{path}.{key}{suffix}' if path else key + suffix
            if 'type' in item:
                yield here, item
            yield from _typed(item, here)


def _takes(path: str, item: dict, key: str) -> bool:
    known = arguments(path, item['type'])
    return known is not None and key in known


def _name(item: dict) -> str:
    return item['type'] if isinstance(item['type'], str) else item['type'].__name__


def _has_known(path: str, value: Any) -> bool:
    return path in KNOWN_KEYS and isinstance(value, dict)


def _check_typed(path: str, value: dict, parent: dict) -> None:
    kind = value['type']
    known = arguments(path, kind)
    if known is None and not _is_declared(path, parent):
        raise UserError(
            f'Unknown config key `{path}`: a dict with a `type` ({_name(value)}) there is built by '
            f'nobody. {_nearest(slot_key(path), set(SLOT_OF_KEY))}'.rstrip()
        )
    for key in value:
        if known is not None and key not in known:
            slot = SLOT_OF_KEY[slot_key(path)]
            cls = slot.get(kind) if isinstance(kind, str) else kind
            hint = getattr(cls, 'KEY_HINTS', {}).get(key)
            where = f' of {_name(value)}'
            raise UserError(unknown(f'{path}.{key}', key, known - {'type'}, where, hint))


def _is_declared(path: str, parent: dict) -> bool:
    """Whether a dict with a ``type`` of no slot is for the class around it, or for mmengine."""
    parts = path.split('.')
    top = parts[0]
    # Variables of the user's own; what mmengine builds itself; optimizers by role.
    return (
        len(parts) == 1
        or top not in TOP_LEVEL
        or top == 'optim_wrapper'
        or 'type' in parent
        or (parts[1].isdigit() or (top.endswith('_dataloader') and parts[1] in DATALOADER))
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
    workers = value.get('num_workers', 0)
    if isinstance(workers, bool) or not isinstance(workers, int) or workers < 0:
        raise UserError(f'{path}.num_workers must be a whole number from 0, got {workers!r}.')
    for key in ('persistent_workers', 'prefetch_factor', 'timeout'):
        if value.get(key) and not workers:
            raise UserError(
                f'{path}.{key}={value[key]} needs worker processes, and {path}.num_workers is 0: '
                f'raise that, or set {path}.{key} to {None if key == "prefetch_factor" else 0}.'
            )


def _nearest(key: str, known: set[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1, cutoff=0)
    return f'did you mean `{near[0]}`?' if near else ''
