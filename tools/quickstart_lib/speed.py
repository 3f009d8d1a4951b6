"""Measure how fast this machine computes what the quickstart needs."""

import time
from collections.abc import Callable

import torch
from mmengine.config import Config
from torch import nn

from openmagvit2.engine.precision import fastest_precision
from openmagvit2.registry import MODELS, OPTIM_WRAPPER_CONSTRUCTORS


def convolution_rate() -> float:
    """Return the GFLOP/s of a 3x3 convolution with 64 channels, forward and backward, on
    (64, 64, 14, 14) in float32.
    """
    layer = nn.Conv2d(64, 64, 3, padding=1)
    image = torch.ones(64, 64, 14, 14, requires_grad=True)
    seconds = least_time(lambda: layer(image).sum().backward())
    return 3 * 2 * 64 * 64 * 9 * 64 * 14 * 14 / seconds / 1e9


def step_time(config: Config, batch: dict) -> float:
    """Return the seconds of one training step of a config on ``batch``; its weights and optimizers
    are thrown away afterwards.
    """
    with torch.random.fork_rng():
        model = MODELS.build(config.model).train()
        optimizers = config.optim_wrapper.to_dict()
        if optimizers['dtype'] == 'auto':
            # The type that 'auto' would choose, but without a line in the log.
            optimizers['dtype'] = fastest_precision('cpu').dtype
        constructor = dict(type=optimizers.pop('constructor'), optim_wrapper_cfg=optimizers)
        wrappers = OPTIM_WRAPPER_CONSTRUCTORS.build(constructor)(model)
        return least_time(lambda: model.train_step(batch, wrappers))


def least_time(step: Callable[[], object], repeats: int = 3) -> float:
    """Return the shortest of some times of ``step`` in seconds, after a first one that is not
    counted.
    """
    times = []
    for _ in range(1 + repeats):
        begin = time.perf_counter()
        step()
        times.append(time.perf_counter() - begin)
    return min(times[1:])


class CpuShare:
    """The fraction of the cores' time, from 0 to 1, that this process has had since the object was
    made.
    """

    def __init__(self) -> None:
        self.begin = time.perf_counter(), time.process_time()

    def value(self) -> float:
        """Return the CPU time of this process, divided by wall time and number of threads."""
        wall, own = time.perf_counter() - self.begin[0], time.process_time() - self.begin[1]
        return own / (wall * torch.get_num_threads())
