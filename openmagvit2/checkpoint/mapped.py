"""Conversions without the memory of a file: mapped pages are released, computed tensors stored."""

import contextlib
import ctypes
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np
import torch
from torch import Tensor

from openmagvit2.io import make_folder

# Bytes written between two releases.
EVERY = 1 << 28
# Argument of madvise(2), the same on Linux and macOS.
DONTNEED = 4


class ReleasingFile:
    """A writable file that releases the pages of mapped files after each 256 MB.

    Copying tensors from file to file then needs the memory of a part, not of the whole.

    Args:
        file: File to write to.
        sources: Mapped files, which do not change on the disk.
    """

    def __init__(self, file: IO[bytes], sources: Sequence[str | Path]) -> None:
        self.file, self.written = file, 0
        self.sources = {str(Path(path).resolve()) for path in sources}

    def write(self, data: bytes | memoryview) -> int:
        """Write, and release from time to time."""
        count = self.file.write(data)
        before, self.written = self.written, self.written + len(data)
        if before // EVERY < self.written // EVERY:
            release(self.sources)
        return count

    def flush(self) -> None:
        """Flush the file."""
        self.file.flush()


class Spill:
    """A temporary file for tensors that a conversion computes, as a join of q, k and v does.

    They need disk instead of memory until the context ends; use them before.

    Args:
        folder: Where the file lies; the disk of the result, which has room for them.
        sources: Mapped files that tensors are computed from, whose pages are released.
    """

    def __init__(self, folder: str | Path, sources: Sequence[str | Path] = ()) -> None:
        self.folder, self.sources = folder, sources
        self.stack = contextlib.ExitStack()
        # The file, made for the first tensor: a file that does not fit leaves nothing behind.
        self.path: Path | None = None

    def __enter__(self) -> 'Spill':
        return self

    def __exit__(self, *error: object) -> None:
        self.stack.close()

    def keep(self, tensors: list[Tensor], given: list[Tensor]) -> list[Tensor]:
        """Return tensors, of which those that do not share the memory of ``given`` are stored."""
        known = {tensor.untyped_storage().data_ptr() for tensor in given}
        return [
            x if x.numel() == 0 or x.untyped_storage().data_ptr() in known else self._stored(x)
            for x in tensors
        ]

    def _stored(self, tensor: Tensor) -> Tensor:
        path = self.path or self._begin()
        start = self.file.written
        data = tensor.detach().contiguous().flatten().view(torch.uint8)
        self.file.write(memoryview(data.numpy()))
        # The next one begins where any type may.
        self.file.write(bytes(-len(data) % 64))
        self.file.flush()
        # A private map, which torch may believe that it can write to.
        mapped = np.memmap(path, np.uint8, 'c', start, (len(data),))
        return torch.from_numpy(mapped).view(tensor.dtype).view(tensor.shape)

    def _begin(self) -> Path:
        temporary = tempfile.TemporaryDirectory(
            prefix='.convert-', dir=make_folder(self.folder), ignore_cleanup_errors=True
        )
        self.path = Path(self.stack.enter_context(temporary), 'tensors')
        raw = self.stack.enter_context(self.path.open('wb'))
        self.file = ReleasingFile(raw, [*self.sources, self.path])
        return self.path


def release(paths: set[str]) -> None:
    """Drop the pages of mapped files from memory; the next use reads them again.

    The holes that computed tensors leave in the heap go back to the system too: small objects
    settle in them, so that the next tensor of their size would need a new place.

    This works if the system lists its maps (Linux), and does nothing elsewhere. Changes of pages in
    memory would be lost, but the tensors of a checkpoint are not changed.
    """
    if not Path('/proc/self/maps').exists():
        return
    libc = ctypes.CDLL(None)
    advise, trim = getattr(libc, 'madvise', None), getattr(libc, 'malloc_trim', None)
    if trim is not None:
        trim(0)
    if advise is None or not paths:
        return
    with open('/proc/self/maps', encoding='utf-8', errors='replace') as maps:
        for line in maps:
            # Address range, rights, offset, device, inode, path.
            fields = line.rstrip('\n').split(maxsplit=5)
            if len(fields) == 6 and fields[5] in paths:
                start, end = (int(part, 16) for part in fields[0].split('-'))
                advise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), DONTNEED)
