"""Rates of this machine for matrix products, convolutions and reading, from which floors are
computed.
"""

import functools
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F

from openmagvit2.engine.device import usable_device

# Larger than a processor's caches.
READ_BYTES = 256 * 2**20


def seconds_of(
    step: Callable[[], object], device: str | torch.device = 'cpu', repeats: int = 3
) -> float:
    """Return the median seconds of a call, including waiting for the device, without the first
    call.
    """
    times = []
    for _ in range(repeats + 1):
        wait_for(device)
        begin = time.perf_counter()
        step()
        wait_for(device)
        times.append(time.perf_counter() - begin)
    return statistics.median(times[1:])


def wait_for(device: str | torch.device) -> None:
    """Wait until the device has finished its work."""
    kind = torch.device(device).type
    if kind != 'cpu':
        getattr(torch, kind).synchronize()


class Machine:
    """The rates of a device, each measured when it is first needed.

    Args:
        device: Device that the parts run on.

    Attributes:
        matrix_rate, convolution_rate: Functions of a dtype that return operations per second.
    """

    def __init__(self, device: str = 'cpu') -> None:
        self.device = usable_device(device, f'--device {device}')
        self.matrix_rate = functools.cache(self._matrix_rate)
        self.convolution_rate = functools.cache(self._convolution_rate)

    @functools.cached_property
    def processor(self) -> str:
        """Name of the processor or card."""
        if self.device.type == 'cuda':
            return torch.cuda.get_device_name(self.device)
        info = Path('/proc/cpuinfo')
        lines = info.read_text(encoding='utf-8').splitlines() if info.exists() else []
        names = [line.partition(':')[2].strip() for line in lines if line.startswith('model name')]
        return names[0] if names else platform.processor() or platform.machine()

    def _matrix_rate(self, dtype: torch.dtype = torch.float32) -> float:
        """Return the operations per second of a large matrix product; a multiply-add counts as
        two.
        """
        # Processors without bfloat16 units are a hundred times slower in bfloat16.
        slow = self.device.type == 'cpu' and dtype != torch.float32
        size = 8192 if self.device.type != 'cpu' else 256 if slow else 1024
        a, b = (torch.randn(size, size, device=self.device).to(dtype) for _ in range(2))
        return 2 * size**3 / seconds_of(lambda: a @ b, self.device)

    def _convolution_rate(self, dtype: torch.dtype = torch.float32) -> float:
        """Return the operations per second of a 3x3 convolution with 128 channels, in its faster
        memory layout.
        """
        batch, size = (1, 32) if self.device.type == 'cpu' else (32, 128)
        x = torch.randn(batch, 128, size, size, device=self.device).to(dtype)
        weight = torch.randn(128, 128, 3, 3, device=self.device).to(dtype)
        operations = 2 * batch * size * size * 128 * 128 * 9
        return operations / min(
            self._convolution(x, weight, layout)
            for layout in (torch.contiguous_format, torch.channels_last)
        )

    def _convolution(
        self, x: torch.Tensor, weight: torch.Tensor, layout: torch.memory_format
    ) -> float:
        x, weight = x.to(memory_format=layout), weight.to(memory_format=layout)
        return seconds_of(lambda: F.conv2d(x, weight, padding=1), self.device)

    @functools.cached_property
    def bandwidth(self) -> float:
        """Bytes per second that a matrix-vector product reads, as decoding does."""
        rows = READ_BYTES // 4 // 4096
        matrix = torch.ones(rows, 4096, device=self.device)
        vector = torch.ones(4096, device=self.device)
        return READ_BYTES / seconds_of(lambda: matrix @ vector, self.device)

    def floor(
        self,
        *,
        matrix: float = 0.0,
        convolution: float = 0.0,
        read: float = 0.0,
        dtype: torch.dtype = torch.float32,
    ) -> float:
        """Return the minimum time of some work, in seconds.

        Args:
            matrix, convolution: Operations; a multiply-add counts as two.
            read: Bytes that are read while the operations run.
            dtype: Compute type of the operations.
        """
        busy = matrix / self.matrix_rate(dtype) if matrix else 0.0
        busy += convolution / self.convolution_rate(dtype) if convolution else 0.0
        return max(busy, read / self.bandwidth if read else 0.0)

    def content(self) -> dict:
        """Return all rates for the report."""
        return dict(
            device=str(self.device),
            processor=self.processor,
            cores=os.cpu_count(),
            threads=torch.get_num_threads(),
            torch=torch.__version__,
            instructions=torch.backends.cpu.get_cpu_capability(),
            limits={
                name: os.environ[name]
                for name in ('MKL_ENABLE_INSTRUCTIONS', 'ONEDNN_MAX_CPU_ISA', 'ATEN_CPU_CAPABILITY')
                if name in os.environ
            },
            matrix_gflops=self.matrix_rate() / 1e9,
            matrix_bfloat16_gflops=self.matrix_rate(torch.bfloat16) / 1e9,
            convolution_gflops=self.convolution_rate() / 1e9,
            convolution_bfloat16_gflops=self.convolution_rate(torch.bfloat16) / 1e9,
            read_gigabytes_per_second=self.bandwidth / 1e9,
        )

    def __str__(self) -> str:
        found = self.content()
        limits = ''.join(f', {name}={value}' for name, value in found['limits'].items())
        return (
            f'{found["device"]}: {found["processor"]}, {found["threads"]} of {found["cores"]} '
            f'threads, torch {found["torch"]}, {found["instructions"]}{limits}\n'
            f'matrix products {found["matrix_gflops"]:.0f} GFLOP/s in float32 and '
            f'{found["matrix_bfloat16_gflops"]:.0f} in bfloat16, convolutions '
            f'{found["convolution_gflops"]:.0f} and {found["convolution_bfloat16_gflops"]:.0f}, '
            f'reading {found["read_gigabytes_per_second"]:.1f} GB/s'
        )
