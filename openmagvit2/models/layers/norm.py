"""Normalisation layers."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class GroupNorm(nn.GroupNorm):
    """``nn.GroupNorm`` that also takes groups of a single value, which become the bias.

    torch's layer refuses them, though nothing is estimated over the batch: an image of one latent
    position through 32 channels in 32 groups has them.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, *size) to the same shape."""
        return torch.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)


def norm_silu(norm: nn.GroupNorm, x: Tensor) -> Tensor:
    """Return ``F.silu(norm(x))`` for (B, C, *size), the same numbers with one map less in memory.

    Without gradients swish overwrites the normalised map; with them that map is made again in the
    backward pass instead of kept. Fresh memory is what costs: on a processor without enough cache
    swish alone takes three times as long where it writes a new map.
    """
    if not torch.is_grad_enabled():
        return F.silu(norm(x), inplace=True)
    autocast = torch.is_autocast_enabled(x.device.type)
    # torch's own backward pass copies maps that are not contiguous; under autocast types differ.
    if norm.weight is None or autocast or not x.is_contiguous():
        return F.silu(norm(x))
    return _NormSilu.apply(x, norm.weight, norm.bias, norm.num_groups, norm.eps)


class _NormSilu(torch.autograd.Function):
    """Group norm and swish, which keeps the input and its statistics alone."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, groups: int, eps: float
    ) -> Tensor:
        """Map (B, C, …) to the same shape; ``weight`` and ``bias`` are (C,)."""
        ctx.sizes = (*x.shape[:2], x.shape[2:].numel(), groups)
        ctx.eps = eps
        out, mean, rstd = torch.ops.aten.native_group_norm(x, weight, bias, *ctx.sizes, eps)
        ctx.save_for_backward(x, weight, bias, mean, rstd)
        return F.silu(out, inplace=True)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of x, weight and bias; the normed map is computed again."""
        x, weight, bias, mean, rstd = ctx.saved_tensors
        normed = torch.ops.aten.native_group_norm(x, weight, bias, *ctx.sizes, ctx.eps)[0]
        grad = torch.ops.aten.silu_backward(grad.contiguous(), normed)
        grads = torch.ops.aten.native_group_norm_backward(
            grad, x, mean, rstd, weight, *ctx.sizes, list(ctx.needs_input_grad[:3])
        )
        return (*grads, None, None)
