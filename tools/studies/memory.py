"""Memory of a training step, as a scalar of the log."""

from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from benchmarks.memory import PeakMemory
from openmagvit2.registry import HOOKS


@HOOKS.register_module()
class StepMemoryHook(Hook):
    """Logs ``step_megabytes``: what the second iteration after a start needs beyond what stood
    before it, so without weights, their averages and the state of the optimizers.
    """

    # After the hooks of the package, whose work is no part of a step.
    priority = 'VERY_LOW'

    def before_train(self, runner: Runner) -> None:
        """Begin to count iterations."""
        self.seen, self.memory = 0, PeakMemory()

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Watch the second."""
        self.seen += 1
        if self.seen == 2:
            self.memory.__enter__()

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Log what was seen."""
        if self.seen == 2:
            self.memory.__exit__(None, None, None)
            runner.message_hub.update_scalar('train/step_megabytes', self.memory.peak / 1e6)
