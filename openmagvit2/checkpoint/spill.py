"""Keep tensors that a conversion computes in a temporary file instead of memory."""

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
    """A temporary file for computed tensors, such as joined q, k and v; use it in a ``with``.

    The tensors are mapped from the file and valid until the context ends.

    Args:
        folder: Folder of the file; that of the result, whose disk has enough space.
        sources: Files from which the inputs are mapped; their pages are released during writing.
    """

    def __init__(self, folder: str | Path, sources: Sequence[str | Path] = ()) -> None:
        self.folder, self.sources = folder, sources
        self.stack = contextlib.ExitStack()
        # Created with the first tensor, so that a failing conversion leaves no folder behind.
        self.path: Path | None = None

    def __enter__(self) -> 'Spill':
        return self

    def __exit__(self, *error: object) -> None:
        self.stack.close()

    @property
    def pages(self) -> list[str | Path]:
        """All files that tensors are mapped from: the sources and, if it exists, this one."""
        return [*self.sources, *([self.path] if self.path else [])]

    def keep(self, tensors: list[Tensor], given: list[Tensor]) -> list[Tensor]:
        """Return tensors, moved to the file unless they share the memory of ``given``."""
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
        # Align the next tensor for every type.
        self.file.write(bytes(-len(data) % 64))
        self.file.flush()
        # A private map: torch assumes that it can write to a tensor.
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
