"""A validation without side effects."""

from mmengine.runner import ValLoop

from openmagvit2.engine.random_state import isolated_random_state
from openmagvit2.engine.stop import StopRequest
from openmagvit2.registry import LOOPS


@LOOPS.register_module()
class ValidationLoop(ValLoop):
    """mmengine's validation with random states kept; a stop request ends it without metrics."""

    # Whether the last run computed metrics; the same in all processes.
    completed = False

    def run(self, stop: StopRequest | None = None) -> dict:
        """Return the metrics by name; empty if a stop request cut the validation short."""
        runner = self.runner
        with isolated_random_state():
            runner.call_hook('before_val')
            runner.call_hook('before_val_epoch')
            runner.model.eval()
            try:
                metrics = self._measure(stop)
            except Exception:
                # As after a stop, remove the averages from the model before its state is saved.
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
        # Collective, whatever the number of batches of each process.
        self.completed = stop is None or not stop.agreed()
        return self.evaluator.evaluate(len(self.dataloader.dataset)) if self.completed else {}
