"""Hooks of the quickstart's trainings: estimates of the time left, and pictures on the way."""

import time
from collections.abc import Callable

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from tqdm import tqdm

from openmagvit2.engine.precision import fastest_precision
from openmagvit2.engine.random_state import isolated_random_state
from quickstart_lib.plan import Pace, likely_cause
from quickstart_lib.speed import CpuShare


class PaceHook(Hook):
    """Print an estimate for the whole run after the first steps of a stage.

    Args:
        pace: Compares measured times with the announced ones.
        stage: Name of the stage in the plan.
        steps: Steps to measure, after a first one that is not counted.
    """

    def __init__(self, pace: Pace, stage: str, steps: int = 20) -> None:
        self.pace, self.stage, self.steps = pace, stage, steps

    def before_train(self, runner: Runner) -> None:
        """Start counting: the steps of an earlier start do not count."""
        self.count = 0

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: dict | None = None,
    ) -> None:
        """Measure, and print the estimate once."""
        self.count += 1
        if self.count == 1:
            self.begin, self.share = time.perf_counter(), CpuShare()
        elif self.count == 1 + self.steps:
            seconds = (time.perf_counter() - self.begin) / self.steps
            dtype = next(iter(runner.optim_wrapper.values())).precision.dtype
            cause = likely_cause(self.share.value(), dtype, fastest_precision('cpu').dtype)
            minutes = self.pace.estimate(self.stage, runner.max_iters - batch_idx - 1, seconds)
            tqdm.write(f'  {seconds:.3f} s a step in {dtype}: {self.pace.report(minutes, cause)}')


class LivePictureHook(Hook):
    """Draw pictures with the current model now and then, without changing the training.

    Args:
        draw: Is called with the model in eval mode, the iterations done, and their total.
        first: Seconds until the first picture.
        every: Seconds between two pictures.
    """

    priority = 'LOW'

    def __init__(
        self,
        draw: Callable[[torch.nn.Module, int, int], None],
        first: float = 20.0,
        every: float = 60.0,
    ) -> None:
        self.draw, self.first, self.every = draw, first, every

    def before_train(self, runner: Runner) -> None:
        """Start the clock."""
        self.due = time.perf_counter() + self.first

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: dict | None = None,
    ) -> None:
        """Draw when it is time."""
        if time.perf_counter() < self.due:
            return
        with isolated_random_state():
            runner.model.eval()
            self.draw(runner.model, batch_idx + 1, runner.max_iters)
            runner.model.train()
        self.due = time.perf_counter() + self.every
