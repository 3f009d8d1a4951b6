"""One optimizer for each role of a model."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.device import get_device
from mmengine.logging import print_log
from torch import Tensor, nn

from openmagvit2.engine.optim.wrapper import AutocastOptimWrapper, RoleOptimWrappers
from openmagvit2.engine.parallel.shards import DTensor
from openmagvit2.engine.precision import fastest_precision
from openmagvit2.engine.unwrap import unwrap
from openmagvit2.errors import UserError, check_choice
from openmagvit2.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS, OPTIMIZERS
from openmagvit2.signatures import accepted

COMMON = ('dtype', 'accumulative_counts', 'clip_grad')


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class RoleOptimConstructor:
    """Build a ``RoleOptimWrappers`` over ``model.roles()``.

    ``optim_wrapper`` has the common keys ``dtype``, ``accumulative_counts``, ``clip_grad`` and,
    under the name of each role, ``dict(optimizer=…)`` and what differs there. ``no_decay_1d=True``
    in a role frees tensors of one dimension from weight decay, ``no_decay=('embed', …)`` those
    whose names contain one of these.

    Raises:
        UserError: There is a ``paramwise_cfg`` or a ``type``, or a role has ``accumulative_counts``
            of its own.
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
        # None leaves a key to its default.
        self.common = {key: value for key, value in given.items() if value is not None}
        for key, value in optim_wrapper_cfg.items():
            if isinstance(value, dict) and 'accumulative_counts' in value:
                # The loop cuts one number of micro-batches for all roles.
                raise UserError(
                    f'optim_wrapper.{key}.accumulative_counts: set '
                    f'optim_wrapper.accumulative_counts instead.'
                )
        # A config that inherits a role which its model does not have sets it to None.
        self.roles = {
            key: value
            for key, value in optim_wrapper_cfg.items()
            if key not in (*COMMON, 'type') and value is not None
        }

    def __call__(self, model: nn.Module) -> RoleOptimWrappers:
        """Check that each role has an optimizer.

        Raises:
            UserError: A role has no optimizer, or an optimizer no role.
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

    def _wrapper(self, name: str, module: nn.Module):
        given = self.roles[name] if isinstance(self.roles[name], dict) else {}
        optimizer = given.get('optimizer')
        if not isinstance(optimizer, dict) or not optimizer.get('type'):
            raise UserError(
                f'optim_wrapper.{name}.optimizer must be a dict with a `type`, got {optimizer!r}.'
            )
        cfg = dict(type='AutocastOptimWrapper', role=name) | self.common | given
        path = f'optim_wrapper.{name}'
        no_decay_1d, words = cfg.pop('no_decay_1d', False), cfg.pop('no_decay', ())
        check_choice(f'{path}.no_decay_1d', no_decay_1d, (True, False))
        if not isinstance(words, (list, tuple)) or not all(isinstance(w, str) for w in words):
            raise UserError(f'{path}.no_decay must be a list of parts of names, got {words!r}.')
        if 'params' in optimizer:
            raise UserError(f'{path}.optimizer.params are those of the role; remove the key.')
        parameters = {n: p for n, p in module.named_parameters() if p.requires_grad}
        groups: list = list(parameters.values())
        if no_decay_1d or words:
            free = {
                n
                for n, p in parameters.items()
                if (no_decay_1d and p.dim() < 2) or any(word in n for word in words)
            }
            groups = [
                dict(params=[p for n, p in parameters.items() if n not in free]),
                dict(params=[p for n, p in parameters.items() if n in free], weight_decay=0.0),
            ]
        _check_keys(name, cfg)
        sharded = any(isinstance(parameter, DTensor) for parameter in parameters.values())
        # One of one's own may ask for other parameters than a rehearsal has.
        if sharded or _is_torchs(OPTIMIZERS.find(optimizer['type'])):
            _rehearse(name, optimizer, sharded)
        cfg['optimizer'] = _build(name, dict(cfg['optimizer'], params=groups))
        return OPTIM_WRAPPERS.build(cfg)


def _about_type(wrapper: AutocastOptimWrapper) -> str | None:
    """Return a line on a compute type that is not the one asked for, or slow on this CPU."""
    if wrapper.asked_for != wrapper.precision.dtype:
        return f'optim_wrapper.dtype={wrapper.asked_for}: {wrapper.precision}'
    if wrapper.asked_for == 'bfloat16' and wrapper.device_type == 'cpu':
        fastest = fastest_precision(get_device())
        if fastest.dtype == 'float32':
            return (
                f'optim_wrapper.dtype=bfloat16 is kept, but {fastest.reason}; '
                f'optim_wrapper.dtype=auto takes the faster one.'
            )
    return None


def _check_keys(name: str, cfg: dict) -> None:
    """Check the keys of a role.

    Raises:
        UserError: Its wrapper has no argument of a name.
    """
    kind = OPTIM_WRAPPERS.find(cfg['type'])
    known = accepted(kind) if kind else cfg.keys()
    wrong = sorted(cfg.keys() - known - {'type'})
    if wrong:
        listed = ', '.join(sorted(known | {'no_decay', 'no_decay_1d'}))
        raise UserError(
            f'Unknown config key `optim_wrapper.{name}.{wrong[0]}`. Known there: {listed}.'
        )


def _build(name: str, cfg: dict) -> torch.optim.Optimizer:
    """Build an optimizer.

    Raises:
        UserError: One of torch does not accept a setting, as a negative rate.
    """
    kind = OPTIMIZERS.find(cfg['type'])
    if kind:
        _check_tuples(f'optim_wrapper.{name}.optimizer', cfg, kind)
    with _in_a_sentence(name, kind):
        return OPTIMIZERS.build(cfg)


def _is_torchs(kind: type | None) -> bool:
    return kind is not None and kind.__module__.startswith('torch.')


@contextmanager
def _in_a_sentence(name: str, kind: type | None) -> Iterator[None]:
    """Turn what torch says of its own optimizer's settings into the user's mistake that it is."""
    try:
        yield
    except (AssertionError, RuntimeError, TypeError, ValueError) as error:
        if isinstance(error, UserError) or not _is_torchs(kind):
            raise
        reason = str(error).partition('\n')[0].rstrip('.') or type(error).__name__
        raise UserError(f'optim_wrapper.{name}.optimizer: {reason}.') from error


def _check_tuples(path: str, cfg: dict, kind: type) -> None:
    """Check that settings of several numbers, as ``betas``, have as many as the default; torch
    fails at the first step otherwise.
    """
    for key, parameter in inspect.signature(kind).parameters.items():
        default, value = parameter.default, cfg.get(key)
        if not isinstance(default, tuple) or key not in cfg:
            continue
        if not isinstance(value, (list, tuple)) or len(value) != len(default):
            raise UserError(
                f'{path}.{key} must be a list of {len(default)} numbers, as {list(default)}, got '
                f'{value!r}.'
            )


def _rehearse(name: str, cfg: dict, sharded: bool) -> None:
    """Let an optimizer step once on a small parameter, on the device: torch checks some settings,
    as ``capturable``, then.

    Raises:
        UserError: One of torch does not accept a setting. Or the parameters are sharded, and it
            keeps tensors of another shape than theirs, as Adafactor does.
    """
    probe = nn.Parameter(torch.ones(2, 3, device=get_device()))
    probe.grad = torch.ones_like(probe)
    optimizer = _build(name, dict(cfg, params=[probe]))
    with _in_a_sentence(name, type(optimizer)):
        optimizer.step()
    others = [
        key
        for key, value in optimizer.state[probe].items()
        if isinstance(value, Tensor) and value.numel() > 1 and value.shape != probe.shape
    ]
    if sharded and others:
        raise UserError(
            f'optim_wrapper.{name}.optimizer.type={type(optimizer).__name__}: its states '
            f'{", ".join(others)} do not have the shape of the parameters and cannot be sharded '
            f'with them; use AdamW, or model_wrapper_cfg.type=RoleDDP.'
        )
