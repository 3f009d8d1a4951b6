"""``metrics.json`` of the last validation of a training."""

from mmengine.dist import is_main_process
from mmengine.hooks import Hook

from openmagvit2.engine.hooks.ema import SubmoduleEMAHook
from openmagvit2.engine.record import write_record
from openmagvit2.registry import HOOKS


@HOOKS.register_module()
class MetricsRecordHook(Hook):
    """Write ``metrics.json`` in the work directory after each complete validation."""

    # Before the averages are swapped out: they are the weights that were evaluated.
    priority = 'ABOVE_NORMAL'

    def after_val_epoch(self, runner, metrics: dict[str, float] | None = None) -> None:
        """Write the file; an interrupted validation has no metrics."""
        if not metrics or not is_main_process():
            return
        averaged = any(isinstance(hook, SubmoduleEMAHook) for hook in runner.hooks)
        checkpoint = dict(iteration=runner.iter, averaged=averaged)
        write_record(runner, metrics, 'val', runner.val_loop.evaluator.metrics, checkpoint)
