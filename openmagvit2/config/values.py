"""Checks of values that no class checks: a wrong one would cause a traceback, or be ignored."""

import math
import os
import re
from typing import Any

from openmagvit2.config.annotations import fits
from openmagvit2.config.clipping import check_clipping
from openmagvit2.errors import UserError
from openmagvit2.registry import OPTIM_WRAPPER_CONSTRUCTORS, SCOPE
from openmagvit2.signatures import Kind, Weight


def some(types: Any, words: str) -> Kind:
    """Return the kind of all values of some types."""
    return Kind(words, lambda x: isinstance(x, types))


def one_of(*choices: Any) -> Kind:
    """Return the kind of a few values. A value of a config may be unhashable."""
    return Kind(f'one of {", ".join(map(str, choices))}', choices.__contains__)


def whole(least: int, none: bool = True, scientific: bool = False, most: float = math.inf) -> Kind:
    """Return the kind of integers in a range.

    Args:
        least, most: The smallest and the largest.
        none: Accept None, which leaves the key to its default.
        scientific: Accept floats such as 1e5, for numbers of iterations.
    """

    def holds(x: Any) -> bool:
        """Return whether a value is one of them."""
        if x is None or isinstance(x, bool):
            return x is None and none
        number = isinstance(x, int) or (scientific and isinstance(x, float) and x.is_integer())
        return number and least <= x <= most

    if most < math.inf:
        return Kind(f'an integer from {least} to {most}', holds)
    return Kind('a positive integer' if least else 'a non-negative integer', holds)


POSITIVE, ITERATIONS, SWITCH = (
    whole(1),
    whole(1, scientific=True),
    some(bool | None, 'True or False'),
)
PART, SETTINGS = some(dict, 'a dict'), some(dict | None, 'a dict or None')
START_METHOD = one_of(None, 'fork', 'spawn', 'forkserver')
LEVEL = one_of('CRITICAL', 'ERROR', 'WARNING', 'INFO', 'DEBUG')
# Seeds are used for torch, numpy and Python; numpy has the smallest range.
LARGEST_SEED = 2**32 - 1
# By path; * matches any beginning.
VALUES: dict[str, Kind] = {
    # Except at the top level, None draws a random seed.
    'seed': whole(0, none=False, most=LARGEST_SEED),
    '*.seed': whole(0, most=LARGEST_SEED),
    'global_batch_size': POSITIVE,
    'resume': SWITCH,
    'load_from': Kind(
        'the path of a checkpoint', lambda x: x is None or (isinstance(x, str) and x != '')
    ),
    'launcher': one_of(None, 'none', 'pytorch', 'slurm'),
    'work_dir': some(str | None, 'the path of a folder'),
    'experiment_name': some(str | None, 'a name'),
    'default_scope': Kind(f"'{SCOPE}', whose parts are built", lambda x: x == SCOPE),
    'sync_bn': one_of(None, 'torch', 'mmcv'),
    # A level may also be its number.
    'log_level': Kind(LEVEL.words, lambda x: isinstance(x, int) or LEVEL.holds(x)),
    'log_processor': SETTINGS,
    'log_processor.window_size': POSITIVE,
    'log_processor.num_digits': whole(0),
    'log_processor.mean_pattern': some(str, 'a regular expression'),
    'visualizer': SETTINGS,
    'model_wrapper_cfg': SETTINGS,
    'auto_scale_lr': Kind(
        'None, because each role has its learning rate',
        lambda x: x is None or (isinstance(x, dict) and not x.get('enable')),
    ),
    'train_cfg.max_iters': ITERATIONS,
    'train_cfg.max_epochs': ITERATIONS,
    'train_cfg.val_interval': ITERATIONS,
    'train_cfg.max_skips': whole(0, scientific=True),
    'optim_wrapper': SETTINGS,
    'optim_wrapper.accumulative_counts': POSITIVE,
    'custom_hooks': some(list | tuple | None, 'a list of dicts'),
    'custom_imports': SETTINGS,
    'default_hooks': SETTINGS,
    'default_hooks.checkpoint.interval': POSITIVE,
    'default_hooks.checkpoint.max_keep': POSITIVE,
    'default_hooks.logger.interval': POSITIVE,
    'randomness': SETTINGS,
    'randomness.deterministic': SWITCH,
    'randomness.diff_rank_seed': SWITCH,
    'env_cfg': PART,
    'env_cfg.cudnn_benchmark': SWITCH,
    'env_cfg.dist_cfg': SETTINGS,
    'env_cfg.resource_limit': whole(1, none=False),
    'env_cfg.mp_cfg': PART,
    'env_cfg.mp_cfg.opencv_num_threads': whole(0),
    'env_cfg.mp_cfg.mp_start_method': START_METHOD,
    **dict.fromkeys(('train_dataloader', 'val_dataloader', 'test_dataloader'), SETTINGS),
    '*_dataloader.batch_sampler': SETTINGS,
    '*_dataloader.batch_size': whole(1, none=False),
    '*_dataloader.collate_fn': Kind(
        "a dict such as dict(type='default_collate')", lambda x: isinstance(x, dict) or callable(x)
    ),
    '*_dataloader.drop_last': some(bool, 'True or False'),
    '*_dataloader.in_order': SWITCH,
    '*_dataloader.multiprocessing_context': START_METHOD,
    '*_dataloader.num_batch_per_epoch': whole(1, most=10**9),
    '*_dataloader.persistent_workers': SWITCH,
    '*_dataloader.pin_memory': SWITCH,
    '*_dataloader.pin_memory_device': some(str, 'the name of a device'),
    '*_dataloader.prefetch_factor': POSITIVE,
    '*_dataloader.timeout': Kind('a non-negative number', lambda x: fits(x, Weight)),
    '*_dataloader.worker_init_fn': PART,
}
# Loader workers that are allowed even on a machine with few processors.
MOST_WORKERS = 256
NEEDING_WORKERS = ('persistent_workers', 'prefetch_factor', 'timeout', 'multiprocessing_context')


def check_value(path: str, value: Any) -> None:
    """Raise UserError if the key at a path does not accept a value."""
    kind = VALUES.get(path) or VALUES.get(re.sub(r'^.*(\.seed|_dataloader\.\w+)$', r'*\1', path))
    if kind:
        kind.check(path, value)
    if path.endswith('_dataloader.num_workers'):
        check_workers(path, value)
    if re.fullmatch(r'optim_wrapper\.(.*\.)?clip_grad', path):
        check_clipping(path, value)
    if path == 'optim_wrapper.constructor':
        known = isinstance(value, str) and OPTIM_WRAPPER_CONSTRUCTORS.get(value)
        if not known:
            raise UserError(f'{path}: {OPTIM_WRAPPER_CONSTRUCTORS.unknown(value)}')
    if re.fullmatch(r'(default_hooks|custom_hooks)\.\w+\.priority', path):
        _check_priority(path, value)
    if re.fullmatch(r'default_hooks\.\w+', path) and isinstance(value, (list, tuple)):
        raise UserError(f'{path} must be a dict of the hook slot, or None, got {value!r}.')


def _check_priority(path: str, value: Any) -> None:
    # Importing this takes a second, and few configs need it.
    from mmengine.runner.priority import Priority

    if not (isinstance(value, str) and value.upper() in Priority.__members__):
        words = f'an integer from 0 to 100, or one of {", ".join(Priority.__members__)}'
        Kind(words, whole(0, most=100).holds).check(path, value)


def check_typed(path: str, value: dict, registry: str) -> None:
    """Raise UserError if the dict at a path has settings, but no ``type`` for its registry.

    A dict of parts by name, whose values are dicts or None, needs none.
    """
    kinds = (dict, list, tuple, type(None))
    settings = [key for key, item in value.items() if key != 'type' and not isinstance(item, kinds)]
    if value.get('type') is None and settings:
        raise UserError(
            f'{path} has {settings[0]}={value[settings[0]]!r}, but no `type`: name a class of the '
            f'{registry} slot, or correct the key if another part was meant.'
        )


def check_workers(name: str, value: Any) -> None:
    """Raise UserError if a number of loader workers is more than this machine can run."""
    whole(0, none=False).check(name, value)
    most = max(MOST_WORKERS, 4 * (os.cpu_count() or 1))
    if value > most:
        raise UserError(f'{name}={value} is more than this machine can run; use at most {most}.')


def check_dataloader(path: str, value: dict) -> None:
    """Raise UserError if a setting of a data loader is not used, or needs another one; torch would
    reject it late, or ignore it.
    """
    if path == 'train_dataloader' and 'batch_size' in value:
        raise UserError(
            'train_dataloader.batch_size is not used: set global_batch_size, which is divided by '
            'processes and accumulation.'
        )
    if path != 'train_dataloader' and value.get('dataset', 0) is None:
        raise UserError(f'{path}.dataset is None; set {path}=None for no images.')
    for key in NEEDING_WORKERS:
        if value.get(key) and not value.get('num_workers'):
            raise UserError(
                f'{path}.{key}={value[key]} needs worker processes, and {path}.num_workers is 0: '
                f'increase it, or remove {path}.{key}.'
            )
