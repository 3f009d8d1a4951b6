"""Release the pages of mapped files while a result is written."""

import ctypes
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from openmagvit2.memory import give_back

# Bytes to write between two releases.
EVERY = 1 << 28
# Argument of madvise(2), the same on Linux and macOS.
DONTNEED = 4


class ReleasingFile:
    """A writable file that releases the pages of mapped files after each 256 MiB.

    Copying tensors from file to file then needs only the memory of a part.

    Args:
        file: The file to write to.
        sources: Mapped files, which must not change on the disk.
    """

    def __init__(self, file: IO[bytes], sources: Sequence[str | Path]) -> None:
        self.file, self.written = file, 0
        self.sources = {str(Path(path).resolve()) for path in sources}

    def write(self, data: bytes | memoryview) -> int:
        """Write bytes, and release pages after each 256 MiB."""
        count = self.file.write(data)
        before, self.written = self.written, self.written + len(data)
        if before // EVERY < self.written // EVERY:
            release(self.sources)
        return count

    def flush(self) -> None:
        """Flush the file."""
        self.file.flush()


def release(paths: set[str]) -> None:
    """Drop the pages of mapped files from memory; the next access reads them again.

    Freed memory of computed tensors is given back to the system too: small objects would fill it
    and the next tensor of that size would need new memory.

    This does nothing where the system does not list its maps (elsewhere than on Linux). Changes in
    memory would be lost, but nobody changes the tensors of a checkpoint.
    """
    if not Path('/proc/self/maps').exists():
        return
    give_back()
    advise = getattr(ctypes.CDLL(None), 'madvise', None)
    if advise is None or not paths:
        return
    with open('/proc/self/maps', encoding='utf-8', errors='replace') as maps:
        for line in maps:
            # Fields: address range, permissions, offset, device, inode, path.
            fields = line.rstrip('\n').split(maxsplit=5)
            if len(fields) == 6 and fields[5] in paths:
                start, end = (int(part, 16) for part in fields[0].split('-'))
                advise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), DONTNEED)
