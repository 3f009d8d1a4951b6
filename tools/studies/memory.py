"""Log the memory of a training step."""

from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from benchmarks.memory import PeakMemory
from openmagvit2.registry import HOOKS


@HOOKS.register_module()
class StepMemoryHook(Hook):
    """Logs ``step_megabytes``: the memory that the second iteration after a start needs beyond what
    was allocated before it, that is, without weights, their averages and optimizer states.
    """

    # After the hooks of the package, whose work is not part of a step.
    priority = 'VERY_LOW'

    def before_train(self, runner: Runner) -> None:
        """Start counting iterations."""
        self.seen, self.memory = 0, PeakMemory()

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Start watching before the second iteration."""
        self.seen += 1
        if self.seen == 2:
            self.memory.__enter__()

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Log the peak of the second iteration."""
        if self.seen == 2:
            self.memory.__exit__(None, None, None)
            runner.message_hub.update_scalar('train/step_megabytes', self.memory.peak / 1e6)
