"""Where float64 exists, where float32 must be exact, and how pixels become 8 bits."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor


def has_float64(device: torch.device | str) -> bool:
    """Return whether a device computes in float64; Apple's 'mps' does not."""
    return torch.device(device).type != 'mps'


def as_double(x: Tensor) -> Tensor:
    """Turn a tensor into float64, on its own device where that has float64, else on the CPU."""
    return (x if has_float64(x.device) else x.cpu()).double()


def to_bytes(images: Tensor) -> Tensor:
    """Map floats in [-1, 1] to uint8, clamped and rounded."""
    return ((images.float().clamp(-1, 1) + 1) * 127.5).round().byte()


def uniform_to(uniform: Tensor, device: torch.device, non_blocking: bool = False) -> Tensor:
    """Bring uniform numbers in [0, 1) to a device: float64, or float32 below 1 where there is no
    float64; see :meth:`torch.Tensor.to` for ``non_blocking``.
    """
    if not has_float64(device) and uniform.dtype == torch.float64:
        # Rounded to the nearest, one in 2^25 would be 1.
        uniform = uniform.float().clamp_max(1 - 2**-24)
    return uniform.to(device, non_blocking=non_blocking)


@contextmanager
def exact_matmul() -> Iterator[None]:
    """Keep products of float32 matrices in float32, not TF32 or bfloat16; restore what was set."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision('highest')
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def autocast_dtype(device: torch.device) -> torch.dtype | None:
    """Return the type that autocast computes in on a device; None where it is off or missing, as on
    'meta' and, before torch 2.5, on Apple's 'mps'.
    """
    kind = device.type
    if not torch.amp.is_autocast_available(kind) or not torch.is_autocast_enabled(kind):
        return None
    return torch.get_autocast_dtype(kind)


def without_autocast(device: torch.device) -> AbstractContextManager:
    """Keep products in the tensors' own types."""
    if autocast_dtype(device) is None:
        return nullcontext()
    return torch.autocast(device.type, enabled=False)
