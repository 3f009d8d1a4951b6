"""Random numbers and the clock of a training."""

import numpy as np
import torch
from mmengine.logging import MessageHub
from torch import Tensor


def more_uniforms(data: dict, count: int) -> Tensor:
    """Uniform numbers for each sample of a batch, float32 (B, count) in [0, 1).

    Where the data set gives a number ``uniform`` for each (seed, epoch, index), they are a function
    of it, so that the batch's split over processes does not matter; torch's otherwise.

    Args:
        data: A batch on the CPU.
        count: Numbers of a sample.
    """
    if 'uniform' not in data:
        return torch.rand(len(next(iter(data.values()))), count)
    # All 53 bits of the number, as a seed.
    seeds = (torch.as_tensor(data['uniform'], dtype=torch.float64) * 2**53).long().tolist()
    rows = [np.random.default_rng(seed).random(count, np.float32) for seed in seeds]
    return torch.from_numpy(np.stack(rows))


def iteration() -> int:
    """Iterations done so far; the Runner keeps the count in its message hub."""
    hub = MessageHub.get_current_instance()
    return hub.get_info('iter') if 'iter' in hub.runtime_info else 0
