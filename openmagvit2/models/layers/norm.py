"""Normalization layers."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from openmagvit2.dtypes import autocast_dtype, without_autocast
from openmagvit2.models.layers import winograd


class GroupNorm(nn.GroupNorm):
    """``nn.GroupNorm`` that also accepts groups of a single value, whose output is the bias.

    torch's layer rejects them, though no statistic is over the batch. They occur in one image of
    one latent position with 32 channels in 32 groups.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, *size) to the same shape."""
        return torch.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)


def norm_silu_conv(norm: nn.GroupNorm, conv: nn.Module, x: Tensor) -> Tensor:
    """Return ``conv(F.silu(norm(x)))`` for (B, C, H, W): the same result in less memory.

    Without gradients, the activation is in place. With gradients, only ``x`` is saved, and the
    input of the convolution is recomputed in the backward pass.
    """
    if not torch.is_grad_enabled():
        x = F.silu(norm(x), inplace=True)
        return conv(x)
    # A compiler decides itself what to recompute.
    if torch.compiler.is_compiling() or norm.weight is None or not _is_plain(conv):
        return conv(F.silu(norm(x)))
    return _NormSiluConv.apply(x, norm.weight, norm.bias, conv.weight, conv.bias, norm, conv)


def _is_plain(conv: nn.Module) -> bool:
    """Return whether a convolution is plain and can be bypassed: zero padding and no hooks."""
    hooks = (conv._forward_hooks, conv._forward_pre_hooks, conv._backward_hooks)
    zeros = type(conv) in (nn.Conv2d, winograd.Conv3x3) and conv.padding_mode == 'zeros'
    return zeros and not isinstance(conv.padding, str) and not any(hooks)


class _NormSiluConv(torch.autograd.Function):
    """Group norm, SiLU and convolution that save only their input and weights."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        scale: Tensor,
        shift: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        norm: nn.GroupNorm,
        conv: nn.Conv2d,
    ) -> Tensor:
        """Map (B, C, H, W) to the convolution's output; the other tensors are the parameters of the
        two layers, passed as arguments so that they get gradients.
        """
        ctx.save_for_backward(x, scale, shift, weight)
        ctx.norm, ctx.conv = norm, conv
        ctx.dtype = autocast_dtype(x.device)
        with _autocast(x.device, ctx.dtype):
            return conv(F.silu(norm(x), inplace=True))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of the input and of the parameters."""
        *inputs, weight = ctx.saved_tensors
        conv, (*needed, need_weight, need_bias) = ctx.conv, ctx.needs_input_grad[:5]
        inputs = [x.detach().requires_grad_(need) for x, need in zip(inputs, needed, strict=True)]
        x, scale, shift = inputs
        with torch.enable_grad(), _autocast(x.device, ctx.dtype):
            act = F.silu(torch.group_norm(x, ctx.norm.num_groups, scale, shift, ctx.norm.eps))
        grad_act, grad_weight, grad_bias = _conv_backward(
            conv, grad, act.detach().to(grad.dtype), weight, (any(needed), need_weight, need_bias)
        )
        found: Iterator[Tensor] = iter(())
        if grad_act is not None:
            wanted = [x for x in inputs if x.requires_grad]
            found = iter(torch.autograd.grad(act, wanted, grad_act.to(act.dtype)))
        grads = [next(found) if need else None for need in needed]
        return (*grads, grad_weight, grad_bias, None, None)


def _conv_backward(
    conv: nn.Conv2d, grad: Tensor, x: Tensor, weight: Tensor, needed: tuple[bool, bool, bool]
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Return the gradients of a convolution by input, weight and bias, as far as ``needed``."""
    if isinstance(conv, winograd.Conv3x3) and winograd.faster(x, weight):
        return winograd.convolve_backward(grad, x, weight, needed)
    return torch.ops.aten.convolution_backward(
        grad,
        x,
        weight.to(grad.dtype),
        None if conv.bias is None else [conv.out_channels],
        conv.stride,
        conv.padding,
        conv.dilation,
        False,
        [0, 0],
        conv.groups,
        list(needed),
    )


def _autocast(device: torch.device, dtype: torch.dtype | None) -> AbstractContextManager:
    """Autocast to a dtype, or disable autocast for None.

    Casts of weights are not cached: a cast made here, without a graph, would cut the gradient of
    the weight's next use.
    """
    if dtype is None:
        return without_autocast(device)
    return torch.autocast(device.type, dtype, cache_enabled=False)
