"""Averages over processes that gradients pass through."""

import torch
import torch.distributed as dist
from torch import Tensor


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
    """Mean of ``x`` over all processes; the identity in a single one.

    The backward pass averages the gradients of all processes. Together with data-parallel averaging of parameter gradients, a loss made of
    the mean gets the gradient it has in one process on the whole batch.
    """
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return x
    return _AllReduceMean.apply(x)
