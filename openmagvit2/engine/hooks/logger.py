"""The text log of a training by iterations."""

import logging

from mmengine.hooks import LoggerHook
from mmengine.logging import HistoryBuffer, print_log
from mmengine.runner import LogProcessor

from openmagvit2.engine.hooks.scalars import flush_scalars
from openmagvit2.registry import HOOKS
from openmagvit2.signatures import Count


@HOOKS.register_module()
class IterationLoggerHook(LoggerHook):
    """Log as mmengine does, and also the first and the last iteration.

    Args:
        interval: Iterations between two lines; values are means over the ``window_size`` of the log
            processor.
    """

    # Number of values to keep of each history; the log processor averages over fewer.
    kept = 1000

    def __init__(self, interval: Count = 50) -> None:
        # Metrics of validations are logged by iteration, not by epoch.
        super().__init__(interval=interval, log_metric_by_epoch=False)
        self.sources_are_known = False

    def after_train_iter(
        self, runner, batch_idx: int, data_batch: dict | None = None, outputs: dict | None = None
    ) -> None:
        """Log a line at each interval."""
        done = batch_idx + 1
        if done % self.interval and done not in (1, runner.max_iters):
            return
        flush_scalars(runner)
        self._check_sources(runner)
        tag, text = runner.log_processor.get_log_after_iter(runner, batch_idx, 'train')
        runner.logger.info(text)
        runner.visualizer.add_scalars(tag, step=done, file_path=self.json_log_path)
        # mmengine copies a whole history to append to it, which takes milliseconds after some
        # hundred thousand iterations.
        histories = runner.message_hub.log_scalars
        for name, buffer in list(histories.items()):
            values, counts = buffer.data
            if len(values) > 2 * self.kept:
                histories[name] = HistoryBuffer(values[-self.kept :], counts[-self.kept :])

    def _check_sources(self, runner) -> None:
        """Warn once of values in ``log_processor.custom_cfg`` that iterations do not have."""
        processor = runner.log_processor
        if self.sources_are_known or not isinstance(processor, LogProcessor):
            return
        self.sources_are_known = True
        known = {name.removeprefix('train/') for name in runner.message_hub.log_scalars}
        for settings in processor.custom_cfg:
            if settings['data_src'] not in known:
                print_log(
                    f'log_processor.custom_cfg: no iteration has a value '
                    f'`{settings["data_src"]}`, which is only logged if a validation has it. '
                    f'Iterations have {", ".join(sorted(known))}.',
                    'current',
                    logging.WARNING,
                )
