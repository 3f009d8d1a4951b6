"""Report models that do not fit in memory before they are built, and out-of-memory errors."""

import contextlib
import errno
import os
from collections.abc import Iterator
from typing import Any

from openmagvit2.errors import UserError

# Maximum number of layers and tensors in a model, ten times that of large ones. Memory does not
# limit small ones or those on 'meta', and building a billion would take hours.
MOST_PARTS = 2**16
# Parts of torch's messages about tensors that it cannot allocate.
REFUSALS = (
    "can't allocate memory",
    'out of memory',
    'ALLOC_FAILED',
    'Storage size calculation overflowed',
    'Overflow when unpacking',
    'multiplication overflow',
    'too large to convert',
)


@contextlib.contextmanager
def bounded(what: str, config: dict) -> Iterator[None]:
    """Abort the construction of a part that does not fit in memory.

    Args:
        what: How the error refers to the part.
        config: Config of the part.

    Raises:
        UserError: The part exceeds the memory or ``MOST_PARTS``; the message names the largest
            number of its config.
    """
    # Imported here, as it takes a second, and looking up names in a registry does not need it.
    from torch.nn.modules import module

    count = _Count()
    handles = [
        module.register_module_parameter_registration_hook(count.tensor),
        module.register_module_buffer_registration_hook(count.tensor),
        module.register_module_module_registration_hook(count.layer),
    ]
    try:
        yield
    except (MemoryError, OverflowError, RuntimeError, TypeError) as error:
        if not isinstance(error, OverflowError) and not _is_full(error):
            raise
        key, number = max(_numbers(config, ''), key=lambda pair: abs(pair[1]), default=('', 0))
        named = f'; its largest number is {key}={number}' if key else ''
        raise UserError(
            f'{what} is too large for this machine ({_reason(error)}){named}.'
        ) from error
    finally:
        for handle in handles:
            handle.remove()


@contextlib.contextmanager
def enough_memory(remedy: str) -> Iterator[None]:
    """Convert out-of-memory errors of torch and Python to a UserError.

    Args:
        remedy: What to do, for the error.

    Raises:
        UserError: The device or the machine is out of memory.
    """
    try:
        yield
    except (MemoryError, OSError, RuntimeError) as error:
        if not _is_full(error):
            raise
        raise UserError(f'Out of memory ({_reason(error)}); {remedy}.') from error


def _is_full(error: Exception) -> bool:
    """Return whether an error is an out-of-memory error."""
    full = isinstance(error, MemoryError)
    full |= isinstance(error, OSError) and error.errno == errno.ENOMEM
    return full or any(text in str(error) for text in REFUSALS)


def _reason(error: Exception) -> str:
    first = str(error).partition('\n')[0].rpartition('DefaultCPUAllocator: ')[2]
    return first or type(error).__name__


class _Count:
    """Count bytes, layers and tensors during construction; 'meta' tensors have no bytes."""

    def __init__(self) -> None:
        self.memory, self.bytes, self.parts = memory(), 0, 0

    def tensor(self, owner: Any, name: str, tensor: Any) -> None:
        """Count a parameter or a buffer before it is filled."""
        if tensor is not None and not tensor.is_meta:
            self.bytes += tensor.nbytes
        if self.memory is not None and self.bytes > self.memory:
            raise MemoryError(f'its weights need more than {self.memory / 1e9:.0f} GB')
        self.layer(owner, name, tensor)

    def layer(self, owner: Any, name: str, layer: Any) -> None:
        """Count a layer or a tensor."""
        self.parts += 1
        if self.parts > MOST_PARTS:
            raise MemoryError(f'it has more than {MOST_PARTS} layers and tensors')


def memory() -> int | None:
    """Return the size of this machine's memory in bytes; None if unknown."""
    try:
        return os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
    except (AttributeError, OSError, ValueError):
        return None


def _numbers(value: Any, path: str) -> Iterator[tuple[str, float]]:
    """Yield the numbers of a config with their dotted paths."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _numbers(item, f'{path}.{key}' if path else str(key))
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _numbers(item, path)
    elif isinstance(value, (int, float)) and not isinstance(value, bool) and value == value:
        yield path, value
