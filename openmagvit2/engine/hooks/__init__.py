"""Hooks of a training."""

from openmagvit2.engine.hooks.checkpoint import ResumableCheckpointHook
from openmagvit2.engine.hooks.codebook_usage import CodebookUsageHook
from openmagvit2.engine.hooks.ema import SubmoduleEMAHook
from openmagvit2.engine.hooks.logger import IterationLoggerHook
from openmagvit2.engine.hooks.progress import ProgressBarHook
from openmagvit2.engine.hooks.record import MetricsRecordHook
from openmagvit2.engine.hooks.scalars import ScalarsHook

__all__ = [
    'CodebookUsageHook',
    'IterationLoggerHook',
    'MetricsRecordHook',
    'ProgressBarHook',
    'ResumableCheckpointHook',
    'ScalarsHook',
    'SubmoduleEMAHook',
]
