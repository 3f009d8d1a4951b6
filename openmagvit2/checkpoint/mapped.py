"""Memory of files that are mapped, given back while another is written."""

import ctypes
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

# Bytes written between two releases.
EVERY = 1 << 28
# Of madvise(2); the same number on Linux and macOS.
DONTNEED = 4


class ReleasingFile:
    """A file to write to that gives back the pages of mapped files after each 256 MB: copying
    tensors from file to file then needs the memory of a part, not of all.

    Args:
        file: What is written to.
        sources: Files that are mapped and stay as they are on the disk.
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


def release(paths: set[str]) -> None:
    """Drop the pages of mapped files from memory; they are read again at the next use.

    Works where the system lists its maps (Linux); elsewhere nothing happens. Pages that were
    changed in memory would fall back to the file: tensors of a checkpoint are not.
    """
    advise = _advise()
    if advise is None or not paths:
        return
    with open('/proc/self/maps', encoding='utf-8', errors='replace') as maps:
        for line in maps:
            # Address range, rights, offset, device, inode, path.
            fields = line.rstrip('\n').split(maxsplit=5)
            if len(fields) == 6 and fields[5] in paths:
                start, end = (int(part, 16) for part in fields[0].split('-'))
                advise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), DONTNEED)


def _advise() -> Callable | None:
    if not Path('/proc/self/maps').exists():
        return None
    return getattr(ctypes.CDLL(None), 'madvise', None)
