"""Tensors that a conversion computes, in a temporary file instead of memory."""

import contextlib
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from openmagvit2.checkpoint.mapped import ReleasingFile
from openmagvit2.io import make_folder


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
