"""Numeric types: float64 by device, exact float32 products, autocast, and 8-bit pixels."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor


def has_float64(device: torch.device | str) -> bool:
    """Return whether a device supports float64; Apple's 'mps' does not."""
    return torch.device(device).type != 'mps'


def as_double(x: Tensor) -> Tensor:
    """Convert a tensor to float64, on the CPU if its device does not support it."""
    return (x if has_float64(x.device) else x.cpu()).double()


def to_bytes(images: Tensor) -> Tensor:
    """Map floats in [-1, 1] to uint8, clamped and rounded."""
    return ((images.float().clamp(-1, 1) + 1) * 127.5).round().byte()


def uniform_to(uniform: Tensor, device: torch.device, non_blocking: bool = False) -> Tensor:
    """Move uniform numbers in [0, 1) to a device; see :meth:`torch.Tensor.to` for ``non_blocking``.

    If the device does not support float64, they become float32 and stay below 1.
    """
    if not has_float64(device) and uniform.dtype == torch.float64:
        # Rounding to the nearest would make one in 2^25 equal to 1.
        uniform = uniform.float().clamp_max(1 - 2**-24)
    return uniform.to(device, non_blocking=non_blocking)


@contextmanager
def exact_matmul() -> Iterator[None]:
    """Compute products of float32 matrices in float32, not in TF32 or bfloat16."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision('highest')
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def autocast_dtype(device: torch.device) -> torch.dtype | None:
    """Return the type in which autocast computes on a device; None if it is off.

    It does not exist on 'meta' and, before torch 2.5, on Apple's 'mps'.
    """
    kind = device.type
    if not torch.amp.is_autocast_available(kind) or not torch.is_autocast_enabled(kind):
        return None
    return torch.get_autocast_dtype(kind)


def without_autocast(device: torch.device) -> AbstractContextManager:
    """Disable autocast, so that products are computed in the types of the tensors."""
    if autocast_dtype(device) is None:
        return nullcontext()
    return torch.autocast(device.type, enabled=False)
