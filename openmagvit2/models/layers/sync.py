"""Differentiable means over processes."""

import torch
from mmengine.dist import all_reduce
from torch import Tensor


def all_reduce_mean(x: Tensor) -> Tensor:
    """Return the mean of ``x`` over all processes; its gradient goes to this process's ``x``.

    If every process computes the same loss from the mean, data parallelism, which averages
    gradients over processes, yields the gradient of a single process on the whole batch. The
    backward pass needs no communication.
    """
    with torch.no_grad():
        mean = x.detach().clone()
        all_reduce(mean, 'mean')
    return mean + (x - x.detach())
