"""Linear layer and cross-entropy fused over slices of the vocabulary, so that the logits of a large
codebook are never all in memory.
"""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from openmagvit2.dtypes import autocast_dtype, without_autocast


def linear_cross_entropy(
    x: Tensor, weight: Tensor, target: Tensor, chunk_elements: int = 2**25
) -> Tensor:
    """Return the cross-entropy in nats of the logits ``x @ weight.T``, float32 (N,).

    Besides the gradients of ``x`` and ``weight``, the forward and backward passes hold a few
    tensors of ``chunk_elements`` numbers each; each slice of the weight's gradient is written once.
    Logits are computed twice. As with a linear layer and ``cross_entropy``, autocast applies to the
    matrix products; everything else is float32.

    Args:
        x: (N, dim).
        weight: (V, dim).
        target: int64 (N,) in [0, V).
        chunk_elements: Maximum number of logits in memory at a time.
    """
    dtype = autocast_dtype(x.device) or x.dtype
    return _LinearCrossEntropy.apply(x, weight, target, dtype, chunk_elements)


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx, x: Tensor, weight: Tensor, target: Tensor, dtype: torch.dtype, chunk_elements: int
    ) -> Tensor:
        """Return ``logsumexp(logits) - logits[target]``, float32 (N,), without saving logits."""
        with without_autocast(x.device):
            rows = x.to(dtype)
            total = x.new_full((len(x),), float('-inf'), dtype=torch.float32)
            hit = x.new_zeros((len(x),), dtype=torch.float32)
            for first, part in _slices(weight, len(x), chunk_elements):
                logits = _logits(rows, part)
                total = torch.logaddexp(total, logits.logsumexp(1))
                index, inside = _inside(target, first, len(part))
                hit += torch.where(inside, logits.gather(1, index)[:, 0], 0.0)
        ctx.save_for_backward(x, weight, target, total)
        ctx.dtype, ctx.chunk_elements = dtype, chunk_elements
        return total - hit

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of ``x`` (N, dim) and ``weight`` (V, dim): the products of ``grad *
        (softmax(logits) - one_hot(target))`` with ``weight`` and ``x``.
        """
        x, weight, target, total = ctx.saved_tensors
        with without_autocast(x.device):
            rows = x.to(ctx.dtype)
            grad_x, grad_weight = torch.zeros_like(x, dtype=torch.float32), torch.empty_like(weight)
            for first, part in _slices(weight, len(x), ctx.chunk_elements):
                logits = _logits(rows, part)
                # softmax - one_hot, computed in place.
                delta = logits.sub_(total[:, None]).exp_()
                index, inside = _inside(target, first, len(part))
                delta.scatter_add_(1, index, -inside.to(delta)[:, None])
                delta = delta.mul_(grad[:, None]).to(ctx.dtype)
                grad_x += (delta @ part.to(ctx.dtype)).float()
                grad_weight[first : first + len(part)] = delta.T @ rows
        return grad_x.to(x.dtype), grad_weight, None, None, None


def _slices(weight: Tensor, rows: int, chunk_elements: int) -> Iterator[tuple[int, Tensor]]:
    size = max(chunk_elements // max(rows, 1), 1)
    for first in range(0, len(weight), size):
        yield first, weight[first : first + size]


def _logits(rows: Tensor, part: Tensor) -> Tensor:
    return (rows @ part.to(rows.dtype).T).float()


def _inside(target: Tensor, first: int, size: int) -> tuple[Tensor, Tensor]:
    """Return the column of each target in a slice (N, 1), clamped to it, and whether the target is
    inside (N,).
    """
    index = target - first
    inside = (index >= 0) & (index < size)
    return index.clamp(0, size - 1)[:, None], inside
