"""What may be wrong with a tensor of a file, in words."""

import torch
from torch import Tensor

from openmagvit2.checkpoint.safetensors_file import DTYPES


def wrong_numbers(tensor: Tensor, expected: Tensor) -> str | None:
    """Return what a tensor of a file has in the place of plain numbers, or None.

    Args:
        tensor: Tensor of the file.
        expected: The model's tensor in its place; only its type counts.
    """
    if tensor.layout is not torch.strided or tensor.is_quantized:
        return f'{"quantized" if tensor.is_quantized else "sparse"} instead of dense'
    if expected.is_floating_point() and not tensor.is_floating_point():
        return f'{_name(tensor.dtype)} instead of floating-point numbers'
    if tensor.dtype not in DTYPES:
        kept = expected.dtype if expected.dtype in DTYPES else torch.float32
        return f'{_name(tensor.dtype)}, which is not kept here; convert it to {_name(kept)}'
    return None


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix('torch.')
