"""Describe what is wrong with a value in a file."""

import torch
from torch import Tensor

from openmagvit2.checkpoint.safetensors_file import DTYPES


def unfit(found: object, expected: Tensor) -> str | None:
    """Return how a value differs from the model's tensor, such as '(9,) instead of (8,)'.

    Args:
        found: The value in the file.
        expected: The model's tensor; the file may have another precision.

    Returns:
        The text, or None if the value fits.
    """
    if not isinstance(found, Tensor):
        return f'{described(found)} instead of a tensor'
    if found.shape != expected.shape:
        return f'{tuple(found.shape)} instead of {tuple(expected.shape)}'
    if found.layout is not torch.strided or found.is_quantized:
        return f'{"quantized" if found.is_quantized else "sparse"} instead of dense'
    if expected.is_floating_point() and not found.is_floating_point():
        return f'{_name(found.dtype)} instead of floating-point numbers'
    if found.dtype not in DTYPES:
        kept = expected.dtype if expected.dtype in DTYPES else torch.float32
        return f'{_name(found.dtype)}, which is not supported; convert it to {_name(kept)}'
    return None


def described(value: object) -> str:
    """Return the kind of a value that was read from a file, such as 'a list'."""
    if value is None:
        return 'None'
    cls = type(value)
    # The classes are stand-ins; see openmagvit2.checkpoint.untrusted.
    if cls.__module__.partition('.')[0] == 'numpy':
        return 'a NumPy scalar' if cls.__name__ == 'scalar' else 'a NumPy array'
    name = 'tensor' if isinstance(value, Tensor) else cls.__name__
    return f'{"an" if name[0] in "aeiou" else "a"} {name}'


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix('torch.')


def is_finite(tensor: Tensor) -> bool:
    """Return whether a tensor has no NaN and no infinite number; this copies nothing."""
    if not tensor.is_floating_point() or not tensor.numel():
        return True
    return all(bool(extreme.isfinite()) for extreme in tensor.aminmax())
