"""Choose the compute type by measurement: bfloat16 if it is faster on the device, else float32."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
import torch.nn.functional as F
from mmengine.dist import broadcast_object_list
from torch import Tensor

# bfloat16 has 8 bits of precision, so it must be clearly faster.
LEAST_GAIN = 1.2
REPEATS = 2


@dataclass(frozen=True)
class Precision:
    """A compute type and the reason for it.

    Attributes:
        dtype: 'float32', 'bfloat16', or 'float16'.
        reason: Explanation for the log and for ``metrics.json``.
    """

    dtype: str
    reason: str

    def __str__(self) -> str:
        return f'{self.dtype} ({self.reason})'


def fastest_precision(device: str | torch.device) -> Precision:
    """Return bfloat16 if the device runs it at least 1.2 times as fast as float32, else float32.

    A convolution and a matrix product are timed in both types, forward and backward. This takes a
    few milliseconds, once per process and device. It needs no list of processors, and emulated
    bfloat16 is ten times slower than float32. The first process decides for all, which must call
    this together.

    Args:
        device: The device of the model.
    """
    chosen = [_measured(torch.device(device))]
    broadcast_object_list(chosen)
    return chosen[0]


@cache
def _measured(device: torch.device) -> Precision:
    try:
        seconds = {dtype: _seconds(device, dtype) for dtype in (torch.float32, torch.bfloat16)}
    except (RuntimeError, TypeError, NotImplementedError) as error:
        # Some backends do not support bfloat16.
        return Precision(
            'float32', f'bfloat16 does not work on {device}: {str(error).splitlines()[0]}'
        )
    gain = seconds[torch.float32] / seconds[torch.bfloat16]
    times = ', '.join(
        f'{str(dtype).removeprefix("torch.")} {1e3 * value:.2f} ms'
        for dtype, value in seconds.items()
    )
    if gain >= LEAST_GAIN:
        return Precision(
            'bfloat16', f'bfloat16 is {gain:.1f} times as fast on this {device.type}: {times}'
        )
    return Precision(
        'float32',
        f'bfloat16 is less than {LEAST_GAIN} times as fast on this {device.type}: {times}',
    )


def _seconds(device: torch.device, dtype: torch.dtype) -> float:
    """Return the sum of the least times of the two operations."""
    # The time of smaller operations is mostly that of launching kernels.
    batch = 4 if device.type == 'cpu' else 512
    x, weight, left, right = (
        torch.ones(shape, device=device, dtype=dtype, requires_grad=True)
        for shape in ((batch, 64, 14, 14), (64, 64, 3, 3), (64 * batch, 256), (256, 256))
    )
    convolution = _least_time(lambda: F.conv2d(x, weight, padding=1), device)
    return convolution + _least_time(lambda: left @ right, device)


def _least_time(operation: Callable[[], Tensor], device: torch.device) -> float:
    times = []
    # The first call, which also selects and loads kernels, does not count.
    for _ in range(1 + REPEATS):
        _synchronize(device)
        begin = time.perf_counter()
        operation().sum().backward()
        _synchronize(device)
        times.append(time.perf_counter() - begin)
    return min(times[1:])


def _synchronize(device: torch.device) -> None:
    if device.type != 'cpu':
        getattr(torch, device.type).synchronize()
