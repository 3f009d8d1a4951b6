"""How the memory of this process is kept."""

import ctypes
import os
from collections.abc import Callable

# Parameters of glibc's mallopt(3).
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
# Bytes: tensors below the first come from memory that is kept, which is given back where more than
# the second is free at its end.
LARGEST_KEPT, MOST_KEPT = 2**30, 2**31 - 1


def keep_freed_memory() -> None:
    """Let the C library keep memory that tensors gave back, up to 2 GB, for the next ones.

    By default glibc asks the system for each tensor of more than 32 MB, and the system fills its
    pages with zeros at the first touch: a fifth of a tokenizer's pass on a CPU
    (docs/reference/performance.md). Where the environment sets these thresholds
    (``MALLOC_MMAP_THRESHOLD_``, ``MALLOC_TRIM_THRESHOLD_``, ``GLIBC_TUNABLES``), it stays as it is.
    """
    names = ('MALLOC_MMAP_THRESHOLD_', 'MALLOC_TRIM_THRESHOLD_', 'GLIBC_TUNABLES')
    if not any(name in os.environ for name in names):
        set_thresholds(LARGEST_KEPT, MOST_KEPT)


def set_thresholds(largest: int, most: int) -> None:
    """Set glibc's thresholds; do nothing with other C libraries.

    Args:
        largest: Bytes of an allocation, from which on it is asked of the system.
        most: Free bytes at the end of the memory that is kept, above which they are given back.
    """
    set_parameter = _function('mallopt')
    if set_parameter is not None:
        set_parameter(MMAP_THRESHOLD, largest)
        set_parameter(TRIM_THRESHOLD, most)


def give_back() -> None:
    """Give memory that is kept, holes in it too, back to the system."""
    trim = _function('malloc_trim')
    if trim is not None:
        trim(0)


def _function(name: str) -> Callable[..., int] | None:
    """Return a function of glibc, None with other C libraries."""
    return getattr(ctypes.CDLL(None), name, None) if os.name == 'posix' else None
