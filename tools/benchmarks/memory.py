"""Peak memory of a call."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakIdKeyDictionary

from benchmarks.machine import Machine, seconds_of
from openmagvit2.memory import give_back, keep_freed_memory, set_thresholds


class PeakMemory(TorchDispatchMode):
    """Sums the storages that exist at the same time, from the operation that creates them until
    Python frees them: repeatable, and the same on every device.

    Earlier storages and memory inside an operation are not counted.
    """

    def __init__(self) -> None:
        super().__init__()
        self.sizes: Any = WeakIdKeyDictionary()
        self.peak = self.largest = 0

    def __torch_dispatch__(
        self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        known = {
            id(t.untyped_storage())
            for t in tree_leaves((args, kwargs))
            if isinstance(t, torch.Tensor)
        }
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                if id(storage) not in known:
                    self.sizes[storage] = storage.nbytes()
                    self.largest = max(self.largest, storage.nbytes())
        self.peak = max(self.peak, sum(self.sizes.values()))
        return out


def timed(step: Callable[[], object], machine: Machine, repeats: int) -> tuple[float, float]:
    """Return the seconds of a call and the peak bytes of its tensors, after a warm-up call."""
    step()
    with PeakMemory() as memory:
        step()
    return seconds_of(step, machine.device, repeats), memory.peak


def timed_by_default(
    step: Callable[[], object], machine: Machine, repeats: int
) -> tuple[float, float]:
    """Do the same with the memory settings that glibc has without this package."""
    step()
    with PeakMemory() as memory:
        step()
    with memory_by_default(memory.largest):
        return seconds_of(step, machine.device, repeats), memory.peak


@contextlib.contextmanager
def memory_by_default(largest: int = 2**25) -> Iterator[None]:
    """Use the memory settings that glibc has without this package: an allocation larger than the
    ``largest`` one freed before, or than 32 MB, is requested from the system, and free memory of
    twice that size is returned to it.
    """
    largest = min(largest, 2**25)
    set_thresholds(largest, 2 * largest)
    give_back()
    try:
        yield
    finally:
        keep_freed_memory()


@contextlib.contextmanager
def resident_peak() -> Iterator[dict[str, int]]:
    """Measure the peak bytes of this process, ``beyond`` those that it held before.

    They include all CPU memory, also that used inside operations. On systems other than Linux, the
    dict stays empty.
    """
    found: dict[str, int] = {}
    own = Path('/proc/self')
    if not (own / 'clear_refs').exists():
        yield found
        return
    # Otherwise, freed memory that the process keeps would be reused without being counted.
    give_back()
    # Resets the high-water mark.
    (own / 'clear_refs').write_text('5')
    before = _status(own, 'VmRSS')
    yield found
    found['beyond'] = _status(own, 'VmHWM') - before


def _status(process: Path, key: str) -> int:
    lines = dict(line.split(':', 1) for line in (process / 'status').read_text().splitlines())
    return int(lines[key].split()[0]) * 1024
