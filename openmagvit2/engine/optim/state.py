"""Check the state of an optimizer in a checkpoint, and copy it into memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from openmagvit2.checkpoint.sharded import Stored
from openmagvit2.engine.parallel.shards import DTensor, like
from openmagvit2.errors import UserError

# Settings that may change during a training, because the state does not depend on them.
CHANGEABLE = (
    'lr',
    'initial_lr',
    'weight_decay',
    'betas',
    'eps',
    'momentum',
    'dampening',
    'nesterov',
)


def check_state(role: str, optimizer: Optimizer, state: dict, kind: str | None) -> None:
    """Raise UserError if a state belongs to another optimizer or to other parameter groups.

    Args:
        role: Name of the role, for errors.
        optimizer: The optimizer to load the state.
        state: A ``state_dict`` of torch.
        kind: Class of the optimizer that the state belongs to; None if unknown.
    """
    own = type(optimizer).__name__
    if kind not in (None, own):
        raise UserError(
            f'optim_wrapper.{role}.optimizer.type={own}: the checkpoint has the state of {kind}; '
            f'set that, or start from its weights with load_from.'
        )
    groups, saved = (
        [len(group['params']) for group in groups]
        for groups in (optimizer.param_groups, state['param_groups'])
    )
    if groups != saved:
        raise UserError(
            f'optim_wrapper.{role}: groups of {groups} parameters, the checkpoint has {saved}; set '
            f'no_decay_1d and no_decay as before.'
        )
    for mine, theirs in zip(optimizer.param_groups, state['param_groups'], strict=True):
        if mine.get('amsgrad') != theirs.get('amsgrad'):
            raise UserError(
                f'optim_wrapper.{role}.optimizer.amsgrad={mine.get("amsgrad")}: the checkpoint has '
                f'{theirs.get("amsgrad")}; set that.'
            )


@contextmanager
def keep_settings(optimizer: Optimizer) -> Iterator[None]:
    """Keep the settings in :data:`CHANGEABLE` while a state is loaded.

    A schedule, which is loaded later, sets its own learning rate.
    """
    own = [
        {key: group[key] for key in CHANGEABLE if key in group} for group in optimizer.param_groups
    ]
    yield
    for group, settings in zip(optimizer.param_groups, own, strict=True):
        group.update(settings)


def own_state(optimizer: Optimizer, state: dict) -> dict[int, dict[str, Any]]:
    """Copy the states into this process's memory, sharded like their parameters.

    torch updates the tensors in place, and those of a checkpoint may be mapped from its file.
    """
    order = [p for group in optimizer.param_groups for p in group['params']]
    numbers = [number for group in state['param_groups'] for number in group['params']]
    owners = dict(zip(numbers, order, strict=True))
    return {
        number: {key: _owned(value, owners[number]) for key, value in values.items()}
        for number, values in state['state'].items()
    }


def _owned(value: object, owner: Tensor) -> object:
    if isinstance(value, Stored):
        return like(value, owner)
    if not isinstance(value, Tensor):
        return value
    if value.shape == owner.shape and isinstance(owner, DTensor):
        return like(value, owner)
    # torch itself copies tensors to another device.
    return value.clone() if owner.device.type == 'cpu' else value
