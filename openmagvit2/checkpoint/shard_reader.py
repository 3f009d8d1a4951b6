"""Read the shards of ``torch.distributed.checkpoint`` without executing anything in them."""

import io
import pickle
import re
import zipfile
from enum import Enum, EnumMeta
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from torch import Tensor
from torch.distributed.checkpoint import FileSystemReader, metadata
from torch.distributed.checkpoint.default_planner import DefaultLoadPlanner
from torch.distributed.checkpoint.metadata import Metadata, TensorStorageMetadata

from openmagvit2.checkpoint.reader_errors import reader_errors, unsafe
from openmagvit2.checkpoint.untrusted import check_stored
from openmagvit2.errors import UserError

KIND = 'sharded checkpoint'
# Names of the files of a sharded checkpoint, finished or not.
FILE = re.compile(r'__\d+_\d+\.distcp|\.metadata(\.tmp)?|(\.tmp-)?checkpoint\.pth(@.+)?')
# Classes that the pickle ``.metadata`` may contain, besides dtypes; they only hold values.
_CLASSES = {
    ('torch.distributed.checkpoint.metadata', name)
    for name in (
        *('Metadata', 'MetadataIndex', 'StorageMeta', 'TensorProperties', '_MEM_FORMAT_ENCODING'),
        *('TensorStorageMetadata', 'ChunkStorageMetadata'),
    )
} | {('torch.distributed.checkpoint.filesystem', '_StorageInfo'), ('torch', 'Size')}


class SafeReader(FileSystemReader):
    """torch's reader of a folder of shards, without pickles that could execute code.

    Args:
        path: The folder.

    Raises:
        UserError: ``.metadata`` is damaged, or needs other classes than those of tensors.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.folder = path
        with reader_errors(path, KIND):
            self.metadata = self.read_metadata()
            self.set_up_storage_reader(self.metadata, True)
            self.infos: dict = dict(self.storage_data)

    def read_metadata(self, *args: Any, **kwargs: Any) -> Metadata:
        """Read ``.metadata`` without executing anything in it."""
        found = _Unpickler(io.BytesIO((self.folder / '.metadata').read_bytes())).load()
        if not isinstance(found, Metadata):
            raise UserError(f'its .metadata is a {type(found).__name__}')
        return found

    def check(self, expected: dict[str, Tensor]) -> None:
        """Raise UserError if tensors are missing or misshaped, or shards exceed their files."""
        with reader_errors(self.folder, KIND):
            if problem := self._problem(expected):
                raise UserError(problem)

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
                return f'{name} is not a file of shards'
            if name not in sizes:
                path = self.folder / name
                sizes[name] = path.stat().st_size if path.is_file() else 0
            if info.offset < 0 or info.length < 0 or info.offset + info.length > sizes[name]:
                return f'{name} is missing or too short'
        return ''

    def read(self, name: str, target: Tensor) -> None:
        """Read one tensor into ``target``; if that is sharded, only this process's part."""
        planner = DefaultLoadPlanner(flatten_state_dict=False)
        planner.set_up_planner({name: target}, self.metadata, True)
        plan = planner.create_local_plan()
        self.read_data(plan, planner)

    def read_data(self, plan: Any, planner: Any) -> Any:
        """Read the parts of a plan one by one; raise UserError if one is compressed."""
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
    with reader_errors(path, 'file of shards'):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            check_stored(archive)
        found = torch.load(io.BytesIO(data), 'cpu', weights_only=True)
        if not isinstance(found, Tensor):
            raise UserError(f'a {type(found).__name__} is in the place of a tensor')
        return found


def _layout(name: str) -> torch.layout:
    return torch.strided


def _member(kind: Any, name: str) -> Enum:
    """Return a member of an enum, which Python 3.11.0 to 3.11.3 pickle by ``getattr``."""
    if not (isinstance(kind, EnumMeta) and name in kind.__members__):
        raise UserError(unsafe('builtins.getattr'))
    return kind[name]


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Return a class that ``.metadata`` may contain; raise UserError for any other."""
        if module.startswith('pathlib') and name in ('PosixPath', 'WindowsPath'):
            # The folder where it was written; not used.
            return PurePosixPath
        if (module, name) == ('torch.serialization', '_get_layout'):
            return _layout
        if (module, name) == ('builtins', 'getattr'):
            return _member
        value = torch.__dict__.get(name) if module == 'torch' else None
        if isinstance(value, torch.dtype):
            return value
        if (module, name) not in _CLASSES:
            raise UserError(unsafe(f'{module}.{name}'))
        return super().find_class(module, name)
