"""Validation without side effects on the training."""

from mmengine.runner import ValLoop

from openmagvit2.engine.random_state import isolated_random_state
from openmagvit2.engine.stop import StopRequest
from openmagvit2.registry import LOOPS


@LOOPS.register_module()
class ValidationLoop(ValLoop):
    """Validate as mmengine does, but restore random states, and end early on a stop request."""

    # Whether the last run computed metrics; the same in all processes.
    completed = False

    def run(self, stop: StopRequest | None = None) -> dict:
        """Return the metrics by name; empty if a stop request ended the validation early."""
        runner = self.runner
        with isolated_random_state():
            runner.call_hook('before_val')
            runner.call_hook('before_val_epoch')
            runner.model.eval()
            try:
                metrics = self._measure(stop)
            except Exception:
                # As after a stop, take the averages out of the model before its state is saved.
                runner.call_hook('after_val_epoch', metrics={})
                raise
            runner.call_hook('after_val_epoch', metrics=metrics)
            runner.call_hook('after_val')
        return metrics

    def _measure(self, stop: StopRequest | None) -> dict:
        for i, batch in enumerate(self.dataloader):
            if stop is not None and stop.signal_number:
                break
            self.run_iter(i, batch)
        # All processes call this, whatever their number of batches.
        self.completed = stop is None or not stop.agreed()
        return self.evaluator.evaluate(len(self.dataloader.dataset)) if self.completed else {}
