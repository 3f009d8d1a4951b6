"""Means over processes with a gradient."""

import torch
from mmengine.dist import all_reduce
from torch import Tensor


def all_reduce_mean(x: Tensor) -> Tensor:
    """Return the mean of ``x`` over all processes; the gradient is that of this process's own
    ``x``.

    Where every process computes the same loss from the mean, data parallelism, which averages the
    gradients of the processes, so gives the gradient of one process on the whole batch. Nothing
    has to be sent in the backward pass.
    """
    with torch.no_grad():
        mean = x.detach().clone()
        all_reduce(mean, 'mean')
    return mean + (x - x.detach())
