"""Checkpoints that load safely, are never half written, and resume bit for bit."""

import logging
import math
from pathlib import Path

from mmengine.dist import all_gather_object, barrier, is_main_process
from mmengine.hooks import Hook
from mmengine.logging import print_log

from openmagvit2.checkpoint import save_atomically
from openmagvit2.engine.finite import check_parameters, check_parameters_together
from openmagvit2.engine.parallel.fsdp import RoleFSDP
from openmagvit2.engine.random_state import get_random_state
from openmagvit2.engine.resuming import resumes_at_home
from openmagvit2.engine.run import Run
from openmagvit2.engine.sharded import remove_sharded_leftovers, write_sharded
from openmagvit2.engine.training_state import collect, make_plain, restore, take_weights
from openmagvit2.engine.unwrap import unwrap
from openmagvit2.errors import UserError, check_choice
from openmagvit2.io import remove_leftovers
from openmagvit2.registry import HOOKS


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
        self.interval, self.max_keep, self.sharded = interval, max_keep, sharded
        # The iteration whose checkpoint is in the work directory already.
        self.saved: int | None = None
        # Set by the workflow that starts the training; only files of this run are removed.
        self.run = Run()

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
        runner.train_loop.step.watch.check()
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
        checkpoint = collect(runner, random_states, sharded)
        checkpoint['meta']['run'] = self.run.id
        runner.call_hook('before_save_checkpoint', checkpoint=checkpoint)
        return checkpoint

    def _write(self, runner, checkpoint: dict, name: str) -> None:
        model, state = unwrap(runner.model), checkpoint['state_dict']
        if checkpoint['meta']['sharded']:
            path = Path(runner.work_dir, f'{name}.dcp')
            check_parameters_together(model, state, runner.iter)
            write_sharded(checkpoint, path)
        else:
            path = Path(runner.work_dir, f'{name}.pth')
            check_parameters(model, state, runner.iter)
            save_atomically(checkpoint, path)
        if is_main_process() and not name.startswith('best_'):
            self.run.keep(self.max_keep, path)

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Convert everything, including what other hooks added, to tensors and plain values."""
        make_plain(checkpoint)

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Restore the plain values; a resume must match the model key by key.

        Raises:
            UserError: The checkpoint belongs to another model.
        """
        resumes = bool(runner.cfg.get('resume'))
        take_weights(runner, checkpoint, resumes)
        # `load_from` starts a new training: positions and random states do not apply.
        if resumes:
            restore(runner, checkpoint)
            if resumes_at_home(runner):
                self.saved = checkpoint['meta']['iter']
