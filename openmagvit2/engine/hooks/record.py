"""What the last validation of a training measured, in a file."""

from mmengine.dist import is_main_process
from mmengine.hooks import Hook

from openmagvit2.engine.hooks.ema import SubmoduleEMAHook
from openmagvit2.engine.unwrap import unwrap
from openmagvit2.evaluation.record import write_record
from openmagvit2.registry import HOOKS


@HOOKS.register_module()
class MetricsRecordHook(Hook):
    """Writes ``metrics.json`` in the work directory, as ``tools/test.py`` does; a validation that
    was cut short writes none.
    """

    # Before the averages go out of the model: these are the weights that were evaluated.
    priority = 'ABOVE_NORMAL'

    def after_val_epoch(self, runner, metrics: dict[str, float] | None = None) -> None:
        """One file, of the newest validation."""
        if not metrics or not is_main_process():
            return
        write_record(
            runner.work_dir,
            metrics,
            config=runner.cfg,
            stage='val',
            metrics=runner.val_loop.evaluator.metrics,
            images=len(runner.val_dataloader.dataset),
            model=unwrap(runner.model),
            checkpoint=dict(
                iteration=runner.iter,
                averaged=any(isinstance(hook, SubmoduleEMAHook) for hook in runner.hooks),
            ),
            trained_in={name: wrapper.precision for name, wrapper in runner.optim_wrapper.items()},
        )
