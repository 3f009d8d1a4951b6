"""Sums over processes, with gradients where they are needed; identities in a single process."""

import torch
import torch.distributed as dist
from torch import Tensor


def _alone() -> bool:
    return not dist.is_initialized() or dist.get_world_size() == 1


class _AllReduceMean(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        x = x.clone()
        dist.all_reduce(x)
        return x / dist.get_world_size()

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        grad = grad.clone()
        dist.all_reduce(grad)
        return grad / dist.get_world_size()


def all_reduce_mean(x: Tensor) -> Tensor:
    """Mean of ``x`` over all processes.

    The backward pass averages the gradients of all processes. Together with data-parallel averaging
    of parameter gradients, a loss made of the mean gets the gradient it has in one process on the
    whole batch.
    """
    return x if _alone() else _AllReduceMean.apply(x)


def all_reduce_sum(x: Tensor) -> Tensor:
    """Sum of ``x`` over all processes, in place, without gradients."""
    if not _alone():
        dist.all_reduce(x)
    return x


def broadcast(x: Tensor) -> Tensor:
    """``x`` of the first process, in place, without gradients."""
    if not _alone():
        dist.broadcast(x, 0)
    return x
