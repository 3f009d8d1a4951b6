"""Values of a config's keys where a wrong one would end in a traceback, or in silence."""

import os
import re
from typing import Any

from openmagvit2.config.clipping import check_clipping
from openmagvit2.errors import UserError, check_choice
from openmagvit2.registry import OPTIM_WRAPPER_CONSTRUCTORS, SCOPE

# The smallest whole number that a key may have; None leaves a key to its default.
WHOLE = {
    'global_batch_size': 1,
    'train_cfg.max_iters': 1,
    'train_cfg.max_epochs': 1,
    'train_cfg.val_interval': 1,
    'train_cfg.max_skips': 0,
    'optim_wrapper.accumulative_counts': 1,
    'default_hooks.checkpoint.interval': 1,
    'default_hooks.checkpoint.max_keep': 1,
    'default_hooks.logger.interval': 1,
    'env_cfg.mp_cfg.opencv_num_threads': 0,
    'log_processor.window_size': 1,
    'log_processor.num_digits': 0,
}
# Processes that read images, also on a machine of few processors.
MOST_WORKERS = 256
# Keys with values of one kind, and the kind in words.
SETTINGS = ('train_dataloader', 'val_dataloader', 'test_dataloader', 'optim_wrapper')
SETTINGS += ('default_hooks', 'log_processor', 'visualizer')
SWITCHES = ('randomness.deterministic', 'randomness.diff_rank_seed', 'env_cfg.cudnn_benchmark')
SWITCHES += ('resume',)
KINDS: dict[str, tuple[Any, str]] = {
    **dict.fromkeys(SETTINGS, (dict | None, 'a dict or None')),
    **dict.fromkeys(('env_cfg', 'env_cfg.mp_cfg'), (dict, 'a dict')),
    'load_from': (str | None, 'the path of a checkpoint'),
    'custom_hooks': (list | tuple | None, 'a list of dicts'),
    'work_dir': (str | None, 'the path of a folder'),
    'experiment_name': (str | None, 'a name'),
    'log_processor.mean_pattern': (str, 'a regular expression'),
    **dict.fromkeys(SWITCHES, (bool | None, 'True or False')),
}
# Seeds go to torch, numpy and Python; numpy has the smallest range.
LARGEST_SEED = 2**32 - 1
START_METHODS = (None, 'fork', 'spawn', 'forkserver')
CHOICES: dict[str, tuple] = {
    'env_cfg.mp_cfg.mp_start_method': START_METHODS,
    'sync_bn': (None, 'torch', 'mmcv'),
    'log_level': ('CRITICAL', 'ERROR', 'WARNING', 'INFO', 'DEBUG'),
}


def check_value(path: str, value: Any) -> None:
    """Check a value by the path of its key.

    Raises:
        UserError: It is not what the key takes.
    """
    if path.rpartition('.')[2] == 'seed':
        _check_seed(path, value)
    if path in WHOLE:
        # 1e5 is a number of iterations.
        whole = path.startswith('train_cfg.') and isinstance(value, float) and value.is_integer()
        check_whole(path, int(value) if whole else value, WHOLE[path])
    if path in KINDS and not isinstance(value, KINDS[path][0]):
        raise UserError(f'{path} must be {KINDS[path][1]}, got {value!r}.')
    # A level may also be its number.
    if path in CHOICES and not (path == 'log_level' and isinstance(value, int)):
        check_choice(path, value, CHOICES[path])
    if re.fullmatch(r'optim_wrapper\.(.*\.)?clip_grad', path):
        check_clipping(path, value)
    _check_names(path, value)
    if re.fullmatch(r'(default_hooks|custom_hooks)\.\w+\.priority', path) and value is not None:
        _check_priority(path, value)
    if path == 'env_cfg.resource_limit':
        check_whole(path, value or 0, 1)
    if re.fullmatch(r'default_hooks\.\w+', path) and isinstance(value, (list, tuple)):
        raise UserError(f'{path} must be a dict of the hook slot, or None, got {value!r}.')


def _check_seed(path: str, value: Any) -> None:
    """Check a seed; None draws one, except at the top."""
    if value is None and path != 'seed':
        return
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LARGEST_SEED:
        raise UserError(f'{path} must be a whole number from 0 to {LARGEST_SEED}, got {value!r}.')


def _check_priority(path: str, value: Any) -> None:
    # Takes a second to import, which few configs need.
    from mmengine.runner.priority import Priority

    known = isinstance(value, str) and value.upper() in Priority.__members__
    if not known and not (type(value) is int and 0 <= value <= 100):
        raise UserError(
            f'{path} must be a whole number from 0 to 100, or one of '
            f'{", ".join(Priority.__members__)}, got {value!r}.'
        )


def _check_names(path: str, value: Any) -> None:
    """Check what mmengine looks up by a name that stands in no ``type``."""
    if path == 'default_scope' and value != SCOPE:
        raise UserError(f"default_scope must be '{SCOPE}', whose parts are built, got {value!r}.")
    if path.endswith('_dataloader.collate_fn') and not (isinstance(value, dict) or callable(value)):
        raise UserError(f"{path} must be a dict, as dict(type='default_collate'), got {value!r}.")
    if path == 'optim_wrapper.constructor':
        known = isinstance(value, str) and OPTIM_WRAPPER_CONSTRUCTORS.get(value)
        if not known:
            raise UserError(f'{path}: {OPTIM_WRAPPER_CONSTRUCTORS.unknown(value)}')


def check_typed(path: str, value: dict, registry: str) -> None:
    """Check that a dict of settings says what they are of.

    A dict of parts by name has dicts and None as values.

    Args:
        path: Its key.
        value: The dict.
        registry: Name of the registry that builds it.

    Raises:
        UserError: It has settings, but no ``type``.
    """
    kinds = (dict, list, tuple, type(None))
    settings = [key for key, item in value.items() if key != 'type' and not isinstance(item, kinds)]
    if value.get('type') is None and settings:
        raise UserError(
            f'{path} has {settings[0]}={value[settings[0]]!r}, but no `type`: name a class of the '
            f'{registry} slot, or correct the key if it was to change another part.'
        )


def check_whole(path: str, value: Any, least: int) -> None:
    """Check a whole number; None leaves it to its default.

    Raises:
        UserError: It is none, or smaller than ``least``.
    """
    whole = isinstance(value, int) and not isinstance(value, bool) and value >= least
    if value is not None and not whole:
        raise UserError(f'{path} must be a whole number from {least}, got {value!r}.')


def check_workers(name: str, value: Any) -> None:
    """Check a number of processes that read images.

    Raises:
        UserError: It is none, or more than this machine can run.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise UserError(f'{name} must be a whole number from 0, got {value!r}.')
    most = max(MOST_WORKERS, 4 * (os.cpu_count() or 1))
    if value > most:
        raise UserError(f'{name}={value} is more than this machine can run; take {most} at most.')
