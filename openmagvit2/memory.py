"""How this process keeps freed memory."""

import ctypes
import os
from collections.abc import Callable

# Parameters of glibc's mallopt(3).
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
# Bytes: smaller tensors than the first come from memory that is kept; it is given back when more
# than the second is free at its end.
LARGEST_KEPT, MOST_KEPT = 2**30, 2**31 - 1


def keep_freed_memory() -> None:
    """Let the C library keep up to 2 GiB of freed memory for later tensors.

    By default, glibc requests memory from the system for each tensor above 32 MiB, and the system
    fills its pages with zeros at the first access: a fifth of the time of a tokenizer's pass on a
    CPU (docs/reference/performance.md). Thresholds in the environment take precedence
    (``MALLOC_MMAP_THRESHOLD_``, ``MALLOC_TRIM_THRESHOLD_``, ``GLIBC_TUNABLES``).
    """
    names = ('MALLOC_MMAP_THRESHOLD_', 'MALLOC_TRIM_THRESHOLD_', 'GLIBC_TUNABLES')
    if not any(name in os.environ for name in names):
        set_thresholds(LARGEST_KEPT, MOST_KEPT)


def set_thresholds(largest: int, most: int) -> None:
    """Set glibc's thresholds; do nothing with other C libraries.

    Args:
        largest: Bytes from which on an allocation is requested from the system.
        most: Free bytes at the end of the kept memory above which they are given back.
    """
    set_parameter = _function('mallopt')
    if set_parameter is not None:
        set_parameter(MMAP_THRESHOLD, largest)
        set_parameter(TRIM_THRESHOLD, most)


def give_back() -> None:
    """Give kept memory back to the system, including holes in it."""
    trim = _function('malloc_trim')
    if trim is not None:
        trim(0)


def _function(name: str) -> Callable[..., int] | None:
    """Return a function of glibc; None with other C libraries."""
    return getattr(ctypes.CDLL(None), name, None) if os.name == 'posix' else None
