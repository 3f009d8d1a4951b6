"""Read sharded checkpoints, with any number of processes.

A sharded checkpoint is a folder ``iter_N.dcp`` with the tensors as ``torch.distributed.checkpoint``
writes them. Its ``checkpoint.pth`` is the whole checkpoint with tensors that have no values.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from openmagvit2.checkpoint.untrusted import read_pickle
from openmagvit2.errors import UserError
from openmagvit2.io import usable

if TYPE_CHECKING:
    from openmagvit2.checkpoint.shard_reader import SafeReader

ENDING, CONTENT = '.dcp', 'checkpoint.pth'
# Entries of a checkpoint whose tensors are stored in the shards.
SHARDED = ('state_dict', 'ema_state_dict', 'optimizer')


def is_sharded(path: str | Path) -> bool:
    """Return whether a path is a sharded checkpoint, complete or not."""
    path = usable(path)
    return path.is_dir() and (path.suffix == ENDING or (path / CONTENT).is_file())


def flat(content: dict) -> dict[str, Tensor]:
    """Return the tensors that are stored in the shards, by their names there."""
    found: dict[str, Tensor] = {}

    def keep(name: str, tensor: Tensor) -> Tensor:
        found[name] = tensor
        return tensor

    replaced(content, keep)
    return found


def replaced(content: dict, change: Callable[[str, Tensor], Any]) -> dict:
    """Replace each tensor that is stored in the shards by ``change(name, tensor)``."""
    return {
        key: _replaced(value, key, change) if key in SHARDED else value
        for key, value in content.items()
    }


def _replaced(value: Any, name: str, change: Callable[[str, Tensor], Any]) -> Any:
    if isinstance(value, dict):
        return {key: _replaced(item, f'{name}.{key}', change) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_replaced(x, f'{name}.{i}', change) for i, x in enumerate(value))
    return change(name, value) if isinstance(value, Tensor) else value


class Stored:
    """A tensor in a sharded checkpoint that is read on demand.

    Args:
        reader: Reader of the folder.
        name: Name of the tensor in the shards.
        meta: A tensor of its shape and type on the device 'meta'.
    """

    def __init__(self, reader: 'SafeReader', name: str, meta: Tensor) -> None:
        self.reader, self.name, self.meta = reader, name, meta
        self.shape = meta.shape

    def into(self, target: Tensor) -> Tensor:
        """Read into a tensor of the same shape; if that is sharded, only this process's part."""
        self.reader.read(self.name, target)
        return target

    def whole(self) -> Tensor:
        """Read the whole tensor to the CPU."""
        return self.into(torch.empty(self.meta.shape, dtype=self.meta.dtype))


def read_sharded(path: str | Path, values: bool = True) -> dict:
    """Read a sharded checkpoint in one process, however many have written it.

    Args:
        path: The folder.
        values: Whether to read the tensors; otherwise they stay on the device 'meta'.

    Raises:
        UserError: A file is missing or too short, or could execute code.
    """
    content, reader = _open(Path(path))
    if not values:
        return content
    return replaced(content, lambda name, meta: Stored(reader, name, meta).whole())


def open_sharded(path: str | Path) -> dict:
    """Read a sharded checkpoint with a :class:`Stored` in place of each tensor.

    Raises:
        UserError: See :func:`read_sharded`.
    """
    content, reader = _open(Path(path))
    return replaced(content, lambda name, meta: Stored(reader, name, meta))


def _open(path: Path) -> tuple[dict, 'SafeReader']:
    """Read everything but the tensors, and check that the shards contain these."""
    for name in (CONTENT, '.metadata'):
        if not (path / name).is_file():
            raise UserError(
                f'Checkpoint {path} is not a complete sharded checkpoint: {name} is missing.'
            )
    # torch.distributed.checkpoint takes a second to import, and most checkpoints are files.
    from openmagvit2.checkpoint.shard_reader import SafeReader

    content = read_pickle(path / CONTENT)
    if not isinstance(content, dict) or not isinstance(content.get('state_dict'), dict):
        raise UserError(f'Checkpoint {path}: {CONTENT} has no state dict (tensors by name).')
    reader = SafeReader(path)
    reader.check(flat(content))
    return content, reader
