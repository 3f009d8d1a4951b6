"""Deterministic replacements of operations whose accelerator kernels are not deterministic.

They are used if ``randomness.deterministic`` is set, where torch would raise an error: for running
sums in torch 2.4 and 2.5, and for gradients of most kinds of resizing in all versions.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from openmagvit2.dtypes import exact_matmul, without_autocast


def running_sum(x: Tensor) -> Tensor:
    """Return the cumulative sum of (..., N) over the last axis."""
    return _by_doubling(x) if _wanted(x) else x.cumsum(-1)


def resized(x: Tensor, size: tuple[int, ...], mode: str) -> Tensor:
    """Resize (B, D, *grid) to (B, D, *size) by 'bicubic', 'bilinear' or 'area'."""
    if x.shape[2:] == size:
        return x
    return _by_matrices(x, size, mode) if _wanted(x) else F.interpolate(x, size=size, mode=mode)


def _wanted(x: Tensor) -> bool:
    return x.device.type != 'cpu' and torch.are_deterministic_algorithms_enabled()


def _by_doubling(x: Tensor) -> Tensor:
    """Compute a cumulative sum by adding sums of 1, 2, 4, … elements (Hillis and Steele, 1986)."""
    step = 1
    while step < x.shape[-1]:
        x = x + F.pad(x[..., :-step], (step, 0))
        step *= 2
    return x


def _by_matrices(x: Tensor, size: tuple[int, ...], mode: str) -> Tensor:
    """Resize axis by axis with matrix products; an axis's matrix is the resized identity."""
    with without_autocast(x.device), exact_matmul():
        for axis, length in enumerate(size, 2):
            eye = torch.eye(x.shape[axis], dtype=x.dtype, device=x.device)[None, :, :, None]
            matrix = F.interpolate(eye, size=(length, 1), mode=mode)[0, :, :, 0]
            x = (x.movedim(axis, -1) @ matrix).movedim(-1, axis)
    return x
