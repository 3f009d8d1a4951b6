"""Checkpoints that load safely, are never half written, and resume bit for bit."""

import logging
import math
from pathlib import Path
from typing import Any

import mmengine
import numpy as np
import torch
from mmengine.dist import all_gather_object, barrier, get_rank, is_main_process
from mmengine.hooks import Hook
from mmengine.logging import HistoryBuffer, print_log
from torch import nn

from openmagvit2.checkpoint import save_atomically
from openmagvit2.checkpoint.loading import TRAINING_ONLY, required
from openmagvit2.engine.finite import NonFiniteError, check_parameters
from openmagvit2.engine.hooks.scalars import flush_scalars
from openmagvit2.engine.parallel.fsdp import RoleFSDP
from openmagvit2.engine.parallel.shards import DTensor, gathered, like, part
from openmagvit2.engine.random_state import get_random_state
from openmagvit2.engine.resuming import adopt_position, say_what_is_not_exact
from openmagvit2.engine.run_folder import Run, checkpoints
from openmagvit2.engine.sharded import remove_sharded, remove_sharded_leftovers, write_sharded
from openmagvit2.engine.unwrap import unwrap
from openmagvit2.errors import UserError, check_choice, faults
from openmagvit2.io import remove_leftovers
from openmagvit2.registry import HOOKS

KEPT_VALUES = 200


@HOOKS.register_module()
class ResumableCheckpointHook(Hook):
    """Write ``iter_N.pth``, or the folder ``iter_N.dcp``, in the work directory.

    This is done at intervals, at the end, and when stopped.

    A file holds tensors and plain Python values only, so it loads with ``weights_only=True``; it
    carries the random states of all processes. It is written beside and renamed, and older ones are
    removed after that.

    Args:
        interval: Iterations between checkpoints; None saves at the end only.
        max_keep: Checkpoints to keep.
        save_best: Metric of the validation whose best weights stay in ``best_<metric>.pth``; None
            keeps none.
        rule: 'greater' or 'less': which value is the better one.
        sharded: Write folders ``iter_N.dcp`` (and ``best_<metric>.dcp``) of
            torch.distributed.checkpoint: each process writes what it holds, and nothing is gathered
            in one. For models that :class:`RoleFSDP` shards; all else reads them as it reads files.
    """

    # Last, to convert the finished checkpoint to plain values.
    priority = 'LOWEST'

    def __init__(
        self,
        interval: int | None = None,
        max_keep: int = 2,
        save_best: str | None = None,
        rule: str = 'greater',
        sharded: bool = False,
    ) -> None:
        check_choice('default_hooks.checkpoint.rule', rule, ('greater', 'less'))
        self.save_best, self.rule = save_best, rule
        if max_keep < 1:
            raise UserError(
                f'default_hooks.checkpoint.max_keep must be at least 1, got {max_keep}.'
            )
        self.interval, self.sharded = interval, sharded
        self.max_keep = max_keep
        self.saved: int | None = None
        # Set by the workflow that starts the training; only files of this run are removed.
        self.run = Run()
        self._written: set[Path] = set()

    def before_run(self, runner) -> None:
        """Make a sharded model whole: the Runner now broadcasts the first process's weights."""
        if isinstance(runner.model, RoleFSDP):
            runner.model.eval()

    def before_train(self, runner) -> None:
        """Remove the temporary files of a killed writer."""
        if is_main_process():
            remove_leftovers(runner.work_dir)
            remove_sharded_leftovers(runner.work_dir)

    def before_train_iter(self, runner, batch_idx: int, data_batch: dict | None = None) -> None:
        """Save here, not after an iteration, so that a validation that follows it is included."""
        if self.interval and batch_idx and batch_idx % self.interval == 0:
            self.save(runner)

    def after_val_epoch(self, runner, metrics: dict[str, float] | None = None) -> None:
        """Save the best weights; a validation that was cut short has no metrics.

        Raises:
            UserError: The validation has no metric called ``save_best``.
        """
        if self.save_best is None or not metrics:
            return
        if self.save_best not in metrics:
            raise UserError(
                f'default_hooks.checkpoint.save_best={self.save_best!r}: the validation has '
                f'{", ".join(metrics)}.'
            )
        # Kept in the message hub, which a resume restores.
        key, value, hub = f'best_{self.save_best}', metrics[self.save_best], runner.message_hub
        best = hub.get_info(key) if key in hub.runtime_info else None
        if self._is_better(value, best):
            hub.update_info(key, value)
            self._save(runner, key)

    def _is_better(self, value: float, best: float | None) -> bool:
        """Compare by :attr:`rule`; NaN is worse than any number."""
        if math.isnan(value):
            return False
        if best is None or math.isnan(best):
            return True
        return value > best if self.rule == 'greater' else value < best

    def save_together(self, runner) -> None:
        """Save when an error between iterations ends the training in all processes."""
        # Before the first iteration nothing is lost, and a file would claim the folder.
        if runner.iter:
            self.save(runner)

    def save_alone(self, runner) -> None:
        """Save without the other processes when an error ends the training.

        The other processes may be at another place, or gone, so their random states are missing:
        with several processes such a file resumes, but not bit for bit.
        """
        if not runner.iter or self.saved == runner.iter or not is_main_process():
            return
        if isinstance(runner.model, RoleFSDP):
            # The first process holds only a part of the parameters.
            print_log('The last checkpoint stays.', 'current', logging.ERROR)
            return
        try:
            # A file: all processes write a folder together.
            checkpoint = self._checkpoint(runner, [get_random_state()], sharded=False)
            self._write(runner, checkpoint, f'iter_{runner.iter}')
        except (UserError, RuntimeError) as error:
            # A device that has failed cannot be read; the first error is the one to show.
            print_log(f'{error} The last checkpoint stays.', 'current', logging.ERROR)
        else:
            print_log(
                f'An error ends the training; iter_{runner.iter}.pth holds what is done, go on '
                f'with --resume.',
                'current',
                logging.WARNING,
            )

    def after_train(self, runner) -> None:
        """Save at the end, or when stopped."""
        self.save(runner)

    def save(self, runner) -> None:
        """Write the state after ``runner.iter`` iterations, once; all processes take part."""
        if self.saved == runner.iter:
            return
        runner.train_loop.watch.check()
        self._save(runner, f'iter_{runner.iter}')
        self.saved = runner.iter

    def _save(self, runner, name: str) -> None:
        """Write one checkpoint with the state of all processes; all must call this together."""
        random_states = all_gather_object(get_random_state())
        # After a validation a sharded model is whole, and its optimizer is not.
        runner.model.train()
        # If the parameters are sharded, all processes must send their part.
        if self.sharded or is_main_process() or isinstance(runner.model, RoleFSDP):
            checkpoint = self._checkpoint(runner, random_states, self.sharded)
            if self.sharded or is_main_process():
                self._write(runner, checkpoint, name)
        # No process may exit or restart before the file is complete.
        barrier()

    def _checkpoint(self, runner, random_states: list[dict], sharded: bool) -> dict:
        checkpoint = _state(runner, sharded) | dict(
            random_states=random_states, validated_iter=runner.train_loop.validated_iter
        )
        checkpoint['meta'] |= dict(run=self.run.id, sharded=sharded)
        runner.call_hook('before_save_checkpoint', checkpoint=checkpoint)
        return checkpoint

    def _write(self, runner, checkpoint: dict, name: str) -> None:
        if checkpoint['meta']['sharded']:
            path = Path(runner.work_dir, f'{name}.dcp')
            self._check_together(runner, checkpoint)
            write_sharded(checkpoint, path)
        else:
            path = Path(runner.work_dir, f'{name}.pth')
            check_parameters(_raw(runner), checkpoint['state_dict'], runner.iter)
            save_atomically(checkpoint, path)
        if is_main_process() and not name.startswith('best_'):
            self._remove_old(path)

    def _check_together(self, runner, checkpoint: dict) -> None:
        """Check the parts of all processes, so that all write or none."""
        parts = {name: part(value) for name, value in checkpoint['state_dict'].items()}
        problem = None
        try:
            check_parameters(_raw(runner), parts, runner.iter)
        except NonFiniteError as error:
            problem = str(error)
        for text in all_gather_object(problem):
            if text:
                raise NonFiniteError(text)

    def _remove_old(self, path: Path) -> None:
        """Remove older checkpoints of this run, after a new one is written."""
        self._written.add(path)
        # After a resume from an older file there may be later ones; never remove the file just
        # written.
        others = [old for old in checkpoints(path.parent) if old != path and self._is_own(old)]
        for old in others[self.max_keep - 1 :]:
            if old.is_dir():
                remove_sharded(old)
            else:
                old.unlink()

    def _is_own(self, path: Path) -> bool:
        """Return whether a checkpoint is of this run; an unreadable one is not."""
        if path not in self._written and self.run.owns(path):
            self._written.add(path)
        return path in self._written

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Convert everything, including what other hooks added, to tensors and plain values."""
        for key in ('meta', 'message_hub', 'optimizer', 'param_schedulers'):
            checkpoint[key] = _plain(checkpoint[key])

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Restore the plain values; a resume must match the model key by key.

        Raises:
            UserError: The checkpoint belongs to another model.
        """
        # To shards, if there are any.
        runner.model.train()
        resumes = bool(runner.cfg.get('resume'))
        own, state = _raw(runner).state_dict(), checkpoint['state_dict']
        # Weights to start from may come without a discriminator, as converted ones do.
        optional = () if resumes else TRAINING_ONLY
        sides = dict(missing=own.keys() - state.keys(), unexpected=state.keys() - own.keys())
        sides = {side: sorted(required(names, optional)) for side, names in sides.items()}
        if any(sides.values()):
            raise UserError(
                f'The checkpoint is of another model: {faults(sides)}. Use the config it was '
                f'trained with.'
            )
        checkpoint['state_dict'] = {
            name: like(value, own[name]) if name in own else value for name, value in state.items()
        }
        # `load_from` starts a new training: positions and random states do not apply.
        if resumes:
            self._restore(runner, checkpoint)

    def _restore(self, runner, checkpoint: dict) -> None:
        """Go on from the position of a checkpoint of this training."""
        adopt_position(runner, checkpoint)
        hub = checkpoint.get('message_hub')
        if hub:
            hub['log_scalars'] = {k: HistoryBuffer(*v) for k, v in hub['log_scalars'].items()}
        states, loop = checkpoint.get('random_states', []), runner.train_loop
        say_what_is_not_exact(len(states))
        loop.resumed_random_state = states[get_rank()] if get_rank() < len(states) else None
        loop.validated_iter = checkpoint.get('validated_iter', 0)
        source = Path(runner.cfg.get('load_from') or Path(runner.work_dir, 'iter_0.pth'))
        at_home = source.resolve().parent == Path(runner.work_dir).resolve()
        if at_home and not source.name.startswith('best_'):
            self.saved = checkpoint['meta']['iter']


def _raw(runner) -> nn.Module:
    return unwrap(runner.model)


def _state(runner, sharded: bool) -> dict:
    """Return what mmengine's checkpoint holds, under its keys, without two copies in memory."""
    collect = dict if sharded else gathered
    flush_scalars(runner)
    hub = runner.message_hub.state_dict()
    hub['log_scalars'] = {
        k: [v[-KEPT_VALUES:].tolist() for v in buffer.data]
        for k, buffer in hub['log_scalars'].items()
    }
    hub['runtime_info'] = {k: v for k, v in hub['runtime_info'].items() if k != 'cfg'}
    meta = dict(
        iter=runner.iter,
        samples_seen=runner.train_loop.samples_seen,
        epoch=runner.epoch,
        cfg=runner.cfg.pretty_text,
        seed=runner.seed,
        experiment_name=runner.experiment_name,
        mmengine_version=mmengine.__version__,
        dataset_meta=getattr(runner.train_dataloader.dataset, 'metainfo', None),
    )
    schedulers = runner.param_schedulers
    if isinstance(schedulers, dict):
        schedulers = {
            name: [scheduler.state_dict() for scheduler in some]
            for name, some in schedulers.items()
        }
    else:
        schedulers = [scheduler.state_dict() for scheduler in schedulers or ()]
    return dict(
        meta=meta,
        state_dict=collect(dict(_raw(runner).state_dict())),
        message_hub=hub,
        optimizer=collect(runner.optim_wrapper.state_dict()),
        param_schedulers=schedulers,
    )


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
