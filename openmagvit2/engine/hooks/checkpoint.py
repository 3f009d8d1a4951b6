"""Write checkpoints that load safely, are never half written, and resume bit for bit."""

import logging
import math
from pathlib import Path

from mmengine.dist import all_gather_object, barrier, is_main_process
from mmengine.hooks import Hook
from mmengine.logging import print_log

from openmagvit2.checkpoint import save_atomically
from openmagvit2.engine.finite import check_parameters, check_parameters_together
from openmagvit2.engine.hooks.scalars import flush_scalars
from openmagvit2.engine.parallel.fsdp import RoleFSDP
from openmagvit2.engine.random_state import get_random_state
from openmagvit2.engine.resume.run_folder import Run, checkpoints
from openmagvit2.engine.resume.sharded import remove_sharded_leftovers, write_sharded
from openmagvit2.engine.resume.state import collect, make_plain, restore, take_weights
from openmagvit2.engine.unwrap import unwrap
from openmagvit2.errors import UserError, check_choice
from openmagvit2.io import remove_leftovers
from openmagvit2.registry import HOOKS
from openmagvit2.signatures import Count


@HOOKS.register_module()
class ResumableCheckpointHook(Hook):
    """Write ``iter_N.pth``, or the folder ``iter_N.dcp``, in the work directory.

    A checkpoint is written at each interval, at the end, and when the training is stopped. It holds
    tensors and plain Python values only, so that it loads with ``weights_only=True``, and the
    random states of all processes. It is written under a temporary name and renamed; only then are
    older ones removed.

    Args:
        interval: Iterations between checkpoints; None saves at the end only.
        max_keep: Number of checkpoints to keep.
        save_best: Metric of the validation whose best weights are kept in ``best_<metric>.pth``;
            None keeps none.
        rule: 'greater' or 'less': which value of the metric is better.
        sharded: Write folders ``iter_N.dcp`` and ``best_<metric>.dcp`` of
            torch.distributed.checkpoint. Each process writes its shards, and no process gathers
            them. For models that :class:`RoleFSDP` shards; all readers accept both formats.
    """

    # Last, to convert what the other hooks have added to plain values.
    priority = 'LOWEST'

    def __init__(
        self,
        interval: Count | None = None,
        max_keep: Count = 2,
        save_best: str | None = None,
        rule: str = 'greater',
        sharded: bool = False,
    ) -> None:
        check_choice('default_hooks.checkpoint.rule', rule, ('greater', 'less'))
        self.interval, self.max_keep, self.sharded = interval, max_keep, sharded
        self.save_best, self.rule = save_best, rule
        # The iteration of the last checkpoint in the work directory.
        self.saved: int | None = None
        # The workflow that starts the training sets it; only checkpoints of this run are removed.
        self.run = Run()

    def before_run(self, runner) -> None:
        """Gather a sharded model, whose initial weights the Runner now broadcasts."""
        if isinstance(runner.model, RoleFSDP):
            runner.model.eval()

    def before_train(self, runner) -> None:
        """Remove the temporary files of a killed writer."""
        if is_main_process():
            remove_leftovers(runner.work_dir)
            remove_sharded_leftovers(runner.work_dir)

    def save_if_due(self, runner) -> None:
        """Save at each interval.

        The loop calls this before an iteration, so that a validation is included, and before the
        hooks of the iteration, which add to the histories: a resumed training calls them again.
        """
        if self.interval and runner.iter and runner.iter % self.interval == 0:
            self.save(runner)

    def after_val_epoch(self, runner, metrics: dict[str, float] | None = None) -> None:
        """Save the best weights; an interrupted validation has no metrics.

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
        # The message hub is saved and resumed.
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

    def after_train(self, runner) -> None:
        """Save at the end, or when stopped."""
        self.save(runner)

    def save(self, runner) -> None:
        """Write a checkpoint of the current iteration, once; all processes must call this."""
        if self.saved == runner.iter:
            return
        runner.train_loop.step.watch.check()
        self._save(runner, f'iter_{runner.iter}')
        self.saved = runner.iter

    def save_alone(self, runner) -> None:
        """Save from the main process only, when an error ends the training.

        The other processes may be elsewhere or gone, so their random states are missing: a training
        in several processes resumes from such a file, but not bit for bit.
        """
        if not runner.iter or self.saved == runner.iter or not is_main_process():
            return
        if isinstance(runner.model, RoleFSDP):
            # This process holds only a part of the parameters.
            print_log('The last checkpoint is kept.', 'current', logging.ERROR)
            return
        try:
            # Not sharded, because all processes write a sharded checkpoint together.
            checkpoint = self._checkpoint(runner, [get_random_state()], sharded=False)
            self._write(runner, checkpoint, f'iter_{runner.iter}')
        except (UserError, RuntimeError) as error:
            # A failed device cannot be read; the error that ends the training is raised later.
            print_log(f'{error} The last checkpoint is kept.', 'current', logging.ERROR)
        else:
            print_log(
                f'An error ends the training; its state is saved in iter_{runner.iter}.pth. '
                f'Continue with --resume.',
                'current',
                logging.WARNING,
            )

    def _save(self, runner, name: str) -> None:
        """Write a checkpoint with the state of all processes, which must call this together."""
        random_states = all_gather_object(get_random_state())
        # After a validation a sharded model is gathered, and its optimizer is not.
        runner.model.train()
        # If the parameters are sharded, all processes must send their shards.
        if self.sharded or is_main_process() or isinstance(runner.model, RoleFSDP):
            checkpoint = self._checkpoint(runner, random_states, self.sharded)
            if self.sharded or is_main_process():
                self._write(runner, checkpoint, name)
        # No process may exit or restart before the file is complete.
        barrier()

    def _checkpoint(self, runner, random_states: list[dict], sharded: bool) -> dict:
        flush_scalars(runner)
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
        """Check the weights, and restore the rest of the state if the training resumes.

        Raises:
            UserError: The weights do not fit the model, or a setting has changed that cannot change
                during a training.
        """
        resumes = bool(runner.cfg.get('resume'))
        take_weights(runner, checkpoint, resumes)
        if resumes:
            restore(runner, checkpoint)
            source = Path(runner.cfg.get('load_from') or '')
            if source.resolve() in checkpoints(Path(runner.work_dir).resolve()):
                self.saved = checkpoint['meta']['iter']
