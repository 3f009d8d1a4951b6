"""The state of a training as a checkpoint holds it: collected, made plain, and taken up again."""

from typing import Any

import mmengine
import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.logging import HistoryBuffer
from mmengine.runner import Runner

from openmagvit2.checkpoint.loading import TRAINING_ONLY, required
from openmagvit2.engine.hooks.scalars import flush_scalars
from openmagvit2.engine.parallel.shards import DTensor, gathered, like
from openmagvit2.engine.resuming import adopt_position, say_what_is_not_exact
from openmagvit2.engine.unwrap import unwrap
from openmagvit2.errors import UserError, faults

# Values of each logged scalar that a checkpoint keeps.
KEPT_VALUES = 200


def collect(runner: Runner, random_states: list[dict], sharded: bool) -> dict:
    """Return what mmengine's checkpoint holds, under its keys, without two copies in memory.

    If parameters are sharded, all processes must call this together.

    Args:
        runner: The training.
        random_states: Those of all processes.
        sharded: Leave the tensors where they are; otherwise the main process gets all of them.
    """
    of = dict if sharded else gathered
    meta = dict(
        iter=runner.iter,
        samples_seen=runner.train_loop.samples_seen,
        epoch=runner.epoch,
        cfg=runner.cfg.pretty_text,
        seed=runner.seed,
        experiment_name=runner.experiment_name,
        mmengine_version=mmengine.__version__,
        dataset_meta=getattr(runner.train_dataloader.dataset, 'metainfo', None),
        sharded=sharded,
    )
    return dict(
        meta=meta,
        state_dict=of(dict(unwrap(runner.model).state_dict())),
        message_hub=_message_hub(runner),
        optimizer=of(runner.optim_wrapper.state_dict()),
        param_schedulers=_schedulers(runner.param_schedulers),
        random_states=random_states,
        validated_iter=runner.train_loop.validated_iter,
    )


def _message_hub(runner: Runner) -> dict:
    flush_scalars(runner)
    hub = runner.message_hub.state_dict()
    hub['log_scalars'] = {
        name: [values[-KEPT_VALUES:].tolist() for values in buffer.data]
        for name, buffer in hub['log_scalars'].items()
    }
    hub['runtime_info'] = {k: v for k, v in hub['runtime_info'].items() if k != 'cfg'}
    return hub


def _schedulers(schedulers: dict | list | None) -> dict | list:
    """Return the states of schedulers: a list, or a dict of lists by role."""
    if isinstance(schedulers, dict):
        return {role: _schedulers(some) for role, some in schedulers.items()}
    return [scheduler.state_dict() for scheduler in schedulers or ()]


def make_plain(checkpoint: dict) -> None:
    """Convert a checkpoint in place to tensors and plain values, which load safely."""
    for key in ('meta', 'message_hub', 'optimizer', 'param_schedulers'):
        checkpoint[key] = _plain(checkpoint[key])


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_plain(item) for item in value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, DTensor):
        # It goes into a sharded checkpoint as it is.
        return value
    if isinstance(value, torch.Tensor):
        return value.detach().cpu()
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    return str(value)


def take_weights(runner: Runner, checkpoint: dict, resumes: bool) -> None:
    """Shard the weights of a checkpoint, in place, as the model's are.

    Args:
        runner: The training, with its model.
        checkpoint: What was read.
        resumes: Weights to start from, otherwise, may come without a discriminator, as converted
            ones do.

    Raises:
        UserError: The checkpoint is of another model.
    """
    # To shards, if there are any.
    runner.model.train()
    own, state = unwrap(runner.model).state_dict(), checkpoint['state_dict']
    optional = () if resumes else TRAINING_ONLY
    sides = dict(missing=own.keys() - state.keys(), unexpected=state.keys() - own.keys())
    sides = {side: sorted(required(names, optional)) for side, names in sides.items()}
    if any(sides.values()):
        raise UserError(
            f'The checkpoint is of another model: {faults(sides)}. Use the config it was trained '
            f'with.'
        )
    checkpoint['state_dict'] = {
        name: like(value, own[name]) if name in own else value for name, value in state.items()
    }


def restore(runner: Runner, checkpoint: dict) -> None:
    """Go on from the position of a checkpoint of this training; mmengine loads the rest.

    Raises:
        UserError: A setting has changed that may not; see :func:`adopt_position`.
    """
    adopt_position(runner, checkpoint)
    hub = checkpoint.get('message_hub')
    if hub:
        hub['log_scalars'] = {k: HistoryBuffer(*v) for k, v in hub['log_scalars'].items()}
    states, loop = checkpoint.get('random_states', []), runner.train_loop
    say_what_is_not_exact(len(states))
    loop.resumed_random_state = states[get_rank()] if get_rank() < len(states) else None
    loop.validated_iter = checkpoint.get('validated_iter', 0)
