"""Read tensors from TorchScript archives without running or compiling their code."""

import io
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from openmagvit2.checkpoint.reader_errors import reader_errors, unsafe
from openmagvit2.errors import UserError

DTYPES = dict(
    BoolStorage=torch.bool,
    ByteStorage=torch.uint8,
    CharStorage=torch.int8,
    ShortStorage=torch.int16,
    IntStorage=torch.int32,
    LongStorage=torch.int64,
    HalfStorage=torch.float16,
    BFloat16Storage=torch.bfloat16,
    FloatStorage=torch.float32,
    DoubleStorage=torch.float64,
)


class _Holder:
    """Replacement for every class of the archive; keeps attributes and runs nothing."""

    def __init__(self, *args: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        self.attributes = state if isinstance(state, dict) else {}


class _Unpickler(pickle.Unpickler):
    """Unpickles modules as holders, and tensors; refuses everything else."""

    def __init__(self, archive: zipfile.ZipFile, root: str) -> None:
        super().__init__(io.BytesIO(_stored(archive, f'{root}/data.pkl', packed=True)))
        self.archive, self.root = archive, root
        self.storages: dict[str, Tensor] = {}

    def find_class(self, module: str, name: str) -> Any:
        """Return the replacement for a class; raise UserError if there is none."""
        if module == '__torch__' or module.startswith('__torch__.'):
            return _Holder
        if (module, name) == ('torch._utils', '_rebuild_tensor_v2'):
            return _tensor
        if (module, name) == ('collections', 'OrderedDict'):
            return OrderedDict
        if module == 'torch' and name in DTYPES:
            return DTYPES[name]
        raise UserError(unsafe(f'{module}.{name}'))

    def persistent_load(self, pid: Any) -> Tensor:
        """Return a storage as a flat tensor."""
        kind, dtype, key, _, size = pid
        if kind != 'storage' or not isinstance(dtype, torch.dtype):
            raise UserError('it has a storage of an unknown type')
        if key not in self.storages:
            data = _stored(self.archive, f'{self.root}/data/{key}')
            if not 0 <= size * dtype.itemsize <= len(data):
                raise UserError(f'data/{key} has {len(data)} bytes, too few for {size} values')
            flat = torch.frombuffer(bytearray(data), dtype=dtype) if data else torch.empty(0)
            self.storages[key] = flat.to(dtype)[:size]
        return self.storages[key]


def is_torchscript(path: Path) -> bool:
    """Return whether a file is a TorchScript archive: a zip file with constants."""
    if not zipfile.is_zipfile(path):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile:
        return False
    return any(name.endswith('/constants.pkl') for name in names)


def read_torchscript(path: Path) -> dict[str, Tensor]:
    """Read parameters and buffers by name.

    Raises:
        UserError: The archive is damaged, or needs a class or function other than those of modules
            and tensors; the message names it.
    """
    with reader_errors(path, 'TorchScript archive'), zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.count('/') == 1]
        root = next(name for name in names if name.endswith('/data.pkl')).split('/')[0]
        tensors = _flat(_Unpickler(archive, root).load())
        if not tensors:
            raise UserError('it holds no tensors')
        return tensors


def _stored(archive: zipfile.ZipFile, name: str, packed: bool = False) -> bytes:
    """Read an entry of the archive.

    Only the small pickle may be compressed (``packed``), up to 64 MiB: an entry of some kilobytes
    could unpack to more than the memory.
    """
    entry = archive.getinfo(name)
    if entry.file_size > (2**26 if packed else entry.compress_size):
        raise UserError(f'{name} in it is compressed, which torch never does; save it again')
    return archive.read(name)


def _tensor(storage: Any, offset: int, size: tuple, stride: tuple, *rest: Any) -> Tensor:
    if not isinstance(storage, Tensor) or min((*size, *stride, offset), default=0) < 0:
        raise UserError('it has a tensor without a storage')
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if 0 not in size and last >= storage.numel():
        raise UserError('it has a tensor that exceeds its storage')
    return storage.as_strided(size, stride, offset).contiguous()


def _flat(holder: Any, prefix: str = '', depth: int = 0) -> dict[str, Tensor]:
    """Return the tensors of a module and its submodules by dotted names."""
    if depth > 64:
        raise UserError('its modules are nested too deeply')
    state: dict[str, Tensor] = {}
    for name, value in getattr(holder, 'attributes', {}).items():
        if isinstance(value, Tensor):
            state[f'{prefix}{name}'] = value
        elif isinstance(value, _Holder):
            state |= _flat(value, f'{prefix}{name}.', depth + 1)
    return state
