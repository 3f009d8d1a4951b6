"""Build one optimizer for each role of a model."""

import inspect
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.device import get_device
from mmengine.logging import print_log
from torch import Tensor, nn

from openmagvit2.config.annotations import fits
from openmagvit2.engine.optim.wrapper import AutocastOptimWrapper, RoleOptimWrappers
from openmagvit2.engine.parallel.shards import DTensor
from openmagvit2.engine.precision import fastest_precision
from openmagvit2.engine.unwrap import unwrap
from openmagvit2.errors import UserError, check_choice, first_line
from openmagvit2.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS, OPTIMIZERS
from openmagvit2.signatures import accepted

COMMON = ('dtype', 'accumulative_counts', 'clip_grad')


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class RoleOptimConstructor:
    """Build the ``RoleOptimWrappers`` of ``model.roles()``.

    ``optim_wrapper`` has the common keys ``dtype``, ``accumulative_counts`` and ``clip_grad``, and
    for each role a dict with its ``optimizer`` and settings that differ from the common ones. In a
    role, ``no_decay_1d=True`` exempts tensors of one dimension from weight decay, and
    ``no_decay=('embed', …)`` those whose names contain one of the strings.

    Raises:
        UserError: There is a ``paramwise_cfg`` or a ``type``, or a role has its own
            ``accumulative_counts``.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
        if paramwise_cfg:
            raise UserError(
                'optim_wrapper.paramwise_cfg is not used here; set no_decay_1d in a role.'
            )
        if optim_wrapper_cfg.get('type') is not None:
            raise UserError(
                f'optim_wrapper.type={optim_wrapper_cfg["type"]!r} is not used here; set dtype, or '
                f'the type in a role.'
            )
        given = {key: optim_wrapper_cfg.get(key) for key in COMMON}
        # None selects the default.
        self.common = {key: value for key, value in given.items() if value is not None}
        for key, value in optim_wrapper_cfg.items():
            if isinstance(value, dict) and 'accumulative_counts' in value:
                # The loop splits a batch into the same micro-batches for all roles.
                raise UserError(
                    f'optim_wrapper.{key}.accumulative_counts: set '
                    f'optim_wrapper.accumulative_counts instead.'
                )
        # A config sets an inherited role that its model does not have to None.
        self.roles = {
            key: value
            for key, value in optim_wrapper_cfg.items()
            if key not in (*COMMON, 'type') and value is not None
        }

    def __call__(self, model: nn.Module) -> RoleOptimWrappers:
        """Build the optimizer wrappers of a model.

        Raises:
            UserError: A role has no optimizer, an optimizer has no role, or torch rejects a
                setting.
        """
        roles = unwrap(model).roles()
        for name in self.roles:
            if name not in roles:
                raise UserError(
                    f'optim_wrapper.{name}: the model has no such role, it has {", ".join(roles)}.'
                )
        for name in roles:
            if name not in self.roles:
                raise UserError(
                    f'optim_wrapper has no `{name}`; add '
                    f'optim_wrapper.{name}=dict(optimizer=dict(type=…)).'
                )
        wrappers = RoleOptimWrappers(
            **{name: self._wrapper(name, module) for name, module in roles.items()}
        )
        for line in dict.fromkeys(map(_about_type, wrappers.values())):
            if line:
                print_log(line, 'current')
        return wrappers

    def _wrapper(self, name: str, module: nn.Module) -> AutocastOptimWrapper:
        key = f'optim_wrapper.{name}'
        given = self.roles[name] if isinstance(self.roles[name], dict) else {}
        optimizer = given.get('optimizer')
        if not isinstance(optimizer, dict) or not optimizer.get('type'):
            raise UserError(f'{key}.optimizer must be a dict with a `type`, got {optimizer!r}.')
        if 'params' in optimizer:
            raise UserError(f'{key}.optimizer.params are those of the role; remove the key.')
        cfg = dict(type='AutocastOptimWrapper', role=name) | self.common | given
        no_decay_1d, words = cfg.pop('no_decay_1d', False), cfg.pop('no_decay', ())
        check_choice(f'{key}.no_decay_1d', no_decay_1d, (True, False))
        if not isinstance(words, (list, tuple)) or not all(isinstance(w, str) for w in words):
            raise UserError(f'{key}.no_decay must be a list of parts of names, got {words!r}.')
        _check_keys(key, cfg)
        parameters = {n: p for n, p in module.named_parameters() if p.requires_grad}
        groups: list[Any] = list(parameters.values())
        if no_decay_1d or words:
            groups = [dict(params=[]), dict(params=[], weight_decay=0.0)]
            for n, p in parameters.items():
                exempt = (no_decay_1d and p.dim() < 2) or any(word in n for word in words)
                groups[exempt]['params'].append(p)
        sharded = any(isinstance(parameter, DTensor) for parameter in parameters.values())
        # A user's own optimizer may need parameters unlike those of a trial step.
        if sharded or _is_of_torch(OPTIMIZERS.find(optimizer['type'])):
            _try_step(f'{key}.optimizer', optimizer, sharded)
        cfg['optimizer'] = _build(f'{key}.optimizer', optimizer, groups)
        return OPTIM_WRAPPERS.build(cfg)


def _about_type(wrapper: AutocastOptimWrapper) -> str | None:
    """Return a line for the log if the compute type is not the one set, or slow on this CPU."""
    if wrapper.asked_for != wrapper.precision.dtype:
        return f'optim_wrapper.dtype={wrapper.asked_for}: {wrapper.precision}'
    if wrapper.asked_for == 'bfloat16' and wrapper.device_type == 'cpu':
        fastest = fastest_precision(get_device())
        if fastest.dtype == 'float32':
            return (
                f'optim_wrapper.dtype=bfloat16 is used, but {fastest.reason}; '
                f'optim_wrapper.dtype=auto selects the faster type.'
            )
    return None


def _check_keys(key: str, cfg: dict) -> None:
    """Raise UserError if the wrapper of a role does not have an argument of the config."""
    kind = OPTIM_WRAPPERS.find(cfg['type'])
    known = accepted(kind) if kind else cfg.keys()
    wrong = sorted(cfg.keys() - known - {'type'})
    if wrong:
        listed = ', '.join(sorted(known | {'no_decay', 'no_decay_1d'}))
        raise UserError(f'Unknown config key `{key}.{wrong[0]}`. Known there: {listed}.')


def _is_of_torch(kind: type | None) -> bool:
    return kind is not None and kind.__module__.startswith('torch.')


@contextmanager
def _errors_of_torch(key: str, kind: type | None) -> Iterator[None]:
    """Convert errors of torch's own optimizers, which mean wrong settings, to a UserError."""
    try:
        yield
    except (AssertionError, RuntimeError, TypeError, ValueError) as error:
        if isinstance(error, UserError) or not _is_of_torch(kind):
            raise
        raise UserError(f'{key}: {first_line(error)}.') from error


def _build(key: str, cfg: dict, params: list) -> torch.optim.Optimizer:
    """Build an optimizer; raise UserError if torch rejects a setting, such as a negative rate."""
    kind = OPTIMIZERS.find(cfg['type'])
    for name, parameter in inspect.signature(kind).parameters.items() if kind else ():
        default, value = parameter.default, cfg.get(name)
        if isinstance(value, float) and not math.isfinite(value):
            raise UserError(f'{key}.{name} must be a finite number, got {value}.')
        # Of `betas` and the like, torch checks the length only at the first step.
        if not isinstance(default, tuple) or name not in cfg:
            continue
        listed = isinstance(value, (list, tuple)) and all(fits(item, float) for item in value)
        if not listed or len(value) != len(default):
            raise UserError(
                f'{key}.{name} must be a list of {len(default)} numbers, such as {list(default)}, '
                f'got {value!r}.'
            )
    with _errors_of_torch(key, kind):
        return OPTIMIZERS.build(dict(cfg, params=params))


def _try_step(key: str, cfg: dict, sharded: bool) -> None:
    """Make one step on a small parameter, when torch checks some settings, such as ``capturable``.

    Raises:
        UserError: torch rejects a setting, or the parameters are sharded and the optimizer keeps
            tensors of another shape than theirs, as Adafactor does.
    """
    probe = nn.Parameter(torch.ones(2, 3, device=get_device()))
    probe.grad = torch.ones_like(probe)
    optimizer = _build(key, cfg, [probe])
    with _errors_of_torch(key, type(optimizer)):
        optimizer.step()
    others = [
        name
        for name, value in optimizer.state[probe].items()
        if isinstance(value, Tensor) and value.numel() > 1 and value.shape != probe.shape
    ]
    if sharded and others:
        raise UserError(
            f'{key}.type={type(optimizer).__name__}: its states {", ".join(others)} do not have '
            f'the shape of the parameters and cannot be sharded like them; use AdamW, or '
            f'model_wrapper_cfg.type=RoleDDP.'
        )
