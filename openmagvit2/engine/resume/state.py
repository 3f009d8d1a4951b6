"""The state of a training: collected for a checkpoint, read, and restored."""

from typing import Any

import mmengine
import numpy as np
import torch
from mmengine.dist import get_rank, get_world_size
from mmengine.logging import HistoryBuffer, print_log
from mmengine.runner import CheckpointLoader, Runner

from openmagvit2.checkpoint import TRAINING_ONLY, check_weights, read_checkpoint
from openmagvit2.checkpoint.sharded import Stored, is_sharded, open_sharded
from openmagvit2.engine.optim.schedule import check_states
from openmagvit2.engine.parallel.shards import DTensor, gathered, like
from openmagvit2.engine.resume.changes import check_changes, read_settings
from openmagvit2.engine.unwrap import unwrap

# Values of each logged scalar that a checkpoint keeps.
KEPT_VALUES = 200


def collect(runner: Runner, random_states: list[dict], sharded: bool) -> dict:
    """Return the content of a checkpoint, under mmengine's keys, without copying it in memory.

    If parameters are sharded, all processes must call this together.

    Args:
        runner: The training.
        random_states: Random states of all processes.
        sharded: Leave tensors sharded; otherwise gather them in the main process.
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
        # A sharded checkpoint stores it as it is.
        return value
    if isinstance(value, torch.Tensor):
        return value.detach().cpu()
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    return str(value)


@CheckpointLoader.register_scheme(prefixes='', force=True)
def read_mapped(filename: str, map_location: Any = None) -> dict:
    """Read a local checkpoint for mmengine's Runner, without executing anything in it.

    The tensors of a file are memory-mapped: all processes of a machine share its pages, and copy
    tensor by tensor to their device. mmengine's own reader copies the whole file into the memory of
    each process. The tensors of a sharded checkpoint are read when needed (:func:`like`).

    Args:
        filename: Path.
        map_location: Passed by mmengine; not used.
    """
    return open_sharded(filename) if is_sharded(filename) else read_checkpoint(filename)


def take_weights(runner: Runner, checkpoint: dict, resumes: bool) -> None:
    """Check the weights of a checkpoint, and shard them in place like the model's.

    Args:
        runner: The training, with its model.
        checkpoint: Its content.
        resumes: Whether the training resumes. Otherwise the weights may lack a discriminator, as
            converted ones do.

    Raises:
        UserError: The weights do not fit the model.
    """
    # A sharded model has its shards in training mode.
    runner.model.train()
    model, state = unwrap(runner.model), checkpoint['state_dict']
    found = {name: x.meta if isinstance(x, Stored) else x for name, x in state.items()}
    check_weights(model, found, 'The checkpoint', () if resumes else TRAINING_ONLY)
    own = model.state_dict()
    checkpoint['state_dict'] = {
        name: like(value, own[name]) if name in own else value for name, value in state.items()
    }


def restore(runner: Runner, checkpoint: dict) -> None:
    """Restore the position of a training; mmengine restores weights, optimizers and schedules.

    Raises:
        UserError: A setting has changed that cannot change during a training.
    """
    meta, loop = checkpoint['meta'], runner.train_loop
    check_changes(runner, meta)
    check_states(runner.param_schedulers, checkpoint.get('param_schedulers', []))
    batch = read_settings(meta.get('cfg', '')).get('global_batch_size') or loop.global_batch_size
    # Checkpoints of version 1 count iterations only.
    loop.samples_seen = meta.get('samples_seen', meta['iter'] * batch)
    loop.validated_iter = checkpoint.get('validated_iter', 0)
    hub = checkpoint.get('message_hub')
    if hub:
        hub['log_scalars'] = {k: HistoryBuffer(*v) for k, v in hub['log_scalars'].items()}
    states, rank, now = checkpoint.get('random_states', []), get_rank(), get_world_size()
    loop.resumed_random_state = states[rank] if rank < len(states) else None
    if len(states) not in (0, now):
        print_log(
            f'resume: {now} process{"es" if now > 1 else ""} instead of {len(states)}: the images '
            f'and their order are the same, but the training is not bit for bit the same: each '
            f'process draws new random numbers (dropout), sums over processes are rounded '
            f'differently, and batch normalization sees other parts of a batch.',
            'current',
        )
