"""Reading of sharded checkpoints, folders of torch.distributed.checkpoint, in any process.

A folder ``iter_N.dcp`` has the tensors as ``torch.distributed.checkpoint`` writes them, and in
``checkpoint.pth`` the whole checkpoint with tensors without values in their place.
"""

import io
import pickle
import re
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from torch import Tensor
from torch.distributed.checkpoint import FileSystemReader, metadata
from torch.distributed.checkpoint.default_planner import DefaultLoadPlanner
from torch.distributed.checkpoint.metadata import Metadata, TensorStorageMetadata

from openmagvit2.checkpoint.untrusted import check_archive, read_pickle
from openmagvit2.errors import UserError
from openmagvit2.io.paths import usable

ENDING, CONTENT = '.dcp', 'checkpoint.pth'
# The files of a sharded checkpoint, finished or not.
FILE = re.compile(r'__\d+_\d+\.distcp|\.metadata(\.tmp)?|(\.tmp-)?checkpoint\.pth(@.+)?')
# Entries of a checkpoint whose tensors are in the shards.
SHARDED = ('state_dict', 'ema_state_dict', 'optimizer')
# What the pickle ``.metadata`` may name: classes that hold values, and dtypes.
_CLASSES = {
    ('torch.distributed.checkpoint.metadata', name)
    for name in (
        *('Metadata', 'MetadataIndex', 'StorageMeta', 'TensorProperties', '_MEM_FORMAT_ENCODING'),
        *('TensorStorageMetadata', 'ChunkStorageMetadata'),
    )
} | {
    ('torch.distributed.checkpoint.filesystem', '_StorageInfo'),
    ('torch', 'Size'),
}


def is_sharded(path: str | Path) -> bool:
    """Return whether a path is a sharded checkpoint, whole or torn."""
    path = usable(path)
    return path.is_dir() and (path.suffix == ENDING or (path / CONTENT).is_file())


def flat(content: dict) -> dict[str, Tensor]:
    """Return the tensors that are in the shards, by their names there."""
    found: dict[str, Tensor] = {}

    def keep(name: str, tensor: Tensor) -> Tensor:
        found[name] = tensor
        return tensor

    replaced(content, keep)
    return found


def replaced(content: dict, change: Callable[[str, Tensor], Any]) -> dict:
    """Return the checkpoint with ``change(name, tensor)`` for each tensor in the shards."""
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
    """A tensor in a sharded checkpoint that is read when asked for.

    Args:
        reader: Reader of the folder.
        name: Its name there.
        meta: A tensor without values, of its shape and type.
    """

    def __init__(self, reader: 'SafeReader', name: str, meta: Tensor) -> None:
        self.reader, self.name, self.meta = reader, name, meta
        self.shape = meta.shape

    def into(self, target: Tensor) -> Tensor:
        """Read into a tensor of the same shape; of a sharded one, this process's part alone."""
        self.reader.read(self.name, target)
        return target

    def whole(self) -> Tensor:
        """Read all of it into the memory of the CPU."""
        return self.into(torch.empty(self.meta.shape, dtype=self.meta.dtype))


def read_sharded(path: str | Path, values: bool = True) -> dict:
    """Read a sharded checkpoint in one process, whatever number has written it.

    Args:
        path: The folder.
        values: Read the tensors; otherwise they stand on the device 'meta'.

    Raises:
        UserError: A file is missing, too short, or wants to execute something.
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
    """Read all but the tensors, and check that the shards hold what is expected of them."""
    for name in (CONTENT, '.metadata'):
        if not (path / name).is_file():
            raise UserError(f'Checkpoint {path} is no whole sharded checkpoint: {name} is missing.')
    content = read_pickle(path / CONTENT)
    if not isinstance(content, dict) or not isinstance(content.get('state_dict'), dict):
        raise UserError(f'Checkpoint {path}: {CONTENT} holds no tensors by name.')
    reader = SafeReader(path)
    reader.check(flat(content))
    return content, reader


class SafeReader(FileSystemReader):
    """torch's reader of a folder of shards, without the pickles that can execute code.

    Args:
        path: The folder.

    Raises:
        UserError: ``.metadata`` is damaged, or names other things than tensors.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.folder = path
        try:
            self.metadata = self.read_metadata()
            self.set_up_storage_reader(self.metadata, True)
            self.infos: dict = dict(self.storage_data)
        except Exception as error:  # A damaged pickle can fail in any way.
            raise UserError(
                f'Checkpoint {path} cannot be read safely: .metadata: '
                f'{error or type(error).__name__}.'
            ) from error

    def read_metadata(self, *args: Any, **kwargs: Any) -> Metadata:
        """Read ``.metadata`` without executing anything in it."""
        found = _Unpickler(io.BytesIO((self.folder / '.metadata').read_bytes())).load()
        if not isinstance(found, Metadata):
            raise pickle.UnpicklingError(f'it holds a {type(found).__name__}')
        return found

    def check(self, expected: dict[str, Tensor]) -> None:
        """Check shapes, and that each shard lies within a file of this folder.

        Raises:
            UserError: Something is missing or different.
        """
        try:
            problem = self._problem(expected)
        except (TypeError, ValueError, AttributeError, KeyError) as error:
            problem = f'.metadata is damaged ({error})'
        if problem:
            raise UserError(f'Checkpoint {self.folder} cannot be read safely: {problem}.')

    def _problem(self, expected: dict[str, Tensor]) -> str:
        saved = self.metadata.state_dict_metadata
        for name, tensor in expected.items():
            entry = saved.get(name)
            if not isinstance(entry, TensorStorageMetadata):
                return f'{name} is missing from .metadata'
            if entry.size != tensor.shape or entry.properties.dtype != tensor.dtype:
                return f'{name} is {tuple(entry.size)} instead of {tuple(tensor.shape)}'
            if sum(chunk.sizes.numel() for chunk in entry.chunks) != entry.size.numel():
                return f'parts of {name} are missing'
            indices = [metadata.MetadataIndex(name, chunk.offsets) for chunk in entry.chunks]
            if not all(index in self.infos for index in indices):
                return f'parts of {name} are missing'
        sizes: dict[str, int] = {}
        for info in self.infos.values():
            name = info.relative_path
            if not FILE.fullmatch(name) or getattr(info, 'transform_descriptors', None):
                return f'{name} is no file of shards'
            if name not in sizes:
                path = self.folder / name
                sizes[name] = path.stat().st_size if path.is_file() else 0
            if info.offset < 0 or info.length < 0 or info.offset + info.length > sizes[name]:
                return f'{name} is missing or too short'
        return ''

    def read(self, name: str, target: Tensor) -> None:
        """Read one tensor by torch's plan: of a sharded target, what this process holds of it."""
        planner = DefaultLoadPlanner(flatten_state_dict=False)
        planner.set_up_planner({name: target}, self.metadata, True)
        plan = planner.create_local_plan()
        self.read_data(plan, planner)

    def read_data(self, plan: Any, planner: Any) -> Any:
        """Read the parts of a plan, one after the other; none may be compressed."""
        for item in plan.items:
            info = self.infos[item.storage_index]
            with open(self.folder / info.relative_path, 'rb') as file:
                file.seek(info.offset)
                tensor = _tensor(file.read(info.length), self.folder / info.relative_path)
            for dim, (start, length) in enumerate(
                zip(item.storage_offsets, item.lengths, strict=True)
            ):
                tensor = tensor.narrow(dim, start, length)
            target = planner.resolve_tensor(item).detach()
            target.copy_(tensor)
            planner.commit_tensor(item, target)
        done: torch.futures.Future = torch.futures.Future()
        done.set_result(None)
        return done


def _tensor(data: bytes, path: Path) -> Tensor:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            check_archive(archive, path)
        found = torch.load(io.BytesIO(data), 'cpu', weights_only=True)
    except UserError:
        raise
    except Exception as error:  # A damaged file can fail in any way.
        text = str(error).strip().partition('\n')[0]
        raise UserError(f'Checkpoint {path} cannot be read safely: {text}') from error
    if not isinstance(found, Tensor):
        raise UserError(f'Checkpoint {path} cannot be read safely: it holds other things.')
    return found


def _layout(name: str) -> torch.layout:
    return torch.strided


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module.startswith('pathlib') and name in ('PosixPath', 'WindowsPath'):
            # Where it was written, which is not used.
            return PurePosixPath
        if (module, name) == ('torch.serialization', '_get_layout'):
            return _layout
        value = torch.__dict__.get(name) if module == 'torch' else None
        if isinstance(value, torch.dtype):
            return value
        if (module, name) not in _CLASSES:
            raise pickle.UnpicklingError(f'it wants `{module}.{name}`, which could run code')
        return super().find_class(module, name)
