"""The text log, by iteration."""

from mmengine.hooks import LoggerHook
from mmengine.logging import HistoryBuffer

from openmagvit2.engine.hooks.scalars import flush_scalars
from openmagvit2.registry import HOOKS


@HOOKS.register_module()
class IterationLoggerHook(LoggerHook):
    """Log an iteration-based training as mmengine does, and also its first and last iteration.

    Args:
        interval: Iterations between two lines; values are means over the ``window_size`` of the log
            processor.
    """

    # Values kept of each history; the log processor averages over fewer.
    kept = 1000

    def __init__(self, interval: int = 50) -> None:
        # Metrics of validations stand at their iteration, not at an epoch.
        super().__init__(interval=interval, log_metric_by_epoch=False)

    def after_train_iter(
        self, runner, batch_idx: int, data_batch: dict | None = None, outputs: dict | None = None
    ) -> None:
        """Log a line at each interval."""
        done = batch_idx + 1
        if done % self.interval and done not in (1, runner.max_iters):
            return
        flush_scalars(runner)
        tag, text = runner.log_processor.get_log_after_iter(runner, batch_idx, 'train')
        runner.logger.info(text)
        runner.visualizer.add_scalars(tag, step=done, file_path=self.json_log_path)
        # mmengine copies the whole history at every append, which takes milliseconds after some
        # hundred thousand iterations.
        histories = runner.message_hub.log_scalars
        for name, buffer in list(histories.items()):
            values, counts = buffer.data
            if len(values) > 2 * self.kept:
                histories[name] = HistoryBuffer(values[-self.kept :], counts[-self.kept :])
