"""Read weights that flax wrote with msgpack, without executing anything in them."""

import math
import mmap
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from openmagvit2.checkpoint.reader_errors import reader_errors
from openmagvit2.errors import UserError

# flax's extension types: an array, and a scalar as an array without axes.
ARRAYS = (1, 3)
DTYPES = {
    name: getattr(torch, name)
    for name in ('bool', 'uint8', 'int8', 'int16', 'int32', 'int64')
    + ('float16', 'bfloat16', 'float32', 'float64')
}
CHUNKED = '__msgpack_chunked_array__'


def is_msgpack(path: Path) -> bool:
    """Return whether a file begins with a nonempty msgpack map whose first key is a string.

    Pickles, zip files, safetensors files and pictures begin differently.
    """
    with open(path, 'rb') as file:
        begin = file.read(6)
    # The number of entries is in the first byte, or in the two or four bytes after it.
    length = {0xDE: 3, 0xDF: 5}.get(begin[0], 1 if 0x81 <= begin[0] <= 0x8F else 0) if begin else 0
    key = begin[length : length + 1]
    return bool(length and key) and (0xA0 <= key[0] <= 0xBF or 0xD9 <= key[0] <= 0xDB)


def read_msgpack(path: Path) -> dict[str, Tensor]:
    """Read arrays by the keys of nested maps, joined with dots, such as ``params.Embed_0.…``.

    Raises:
        UserError: The package msgpack is missing, the file is damaged, or it contains anything but
            maps of arrays.
    """
    try:
        import msgpack
    except ImportError as error:
        raise UserError(
            f'Checkpoint {path} is a file of flax; reading it needs the package msgpack: '
            f'pip install "openmagvit2[msgpack]".'
        ) from error

    def extension(code: int, data: bytes) -> Tensor:
        """Return an array of flax; raise UserError for other extensions."""
        if code not in ARRAYS:
            raise UserError(f'it has an extension of type {code}, which is not an array')
        return _array(*msgpack.unpackb(data, raw=False))

    with reader_errors(path, 'file of flax'), open(path, 'rb') as file:
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            content = msgpack.unpackb(data, raw=False, ext_hook=extension, strict_map_key=True)
        return _flat(content)


def _array(shape: list[int], dtype: str, data: bytes) -> Tensor:
    """Return a tensor from a shape, the name of a type, and bytes in C order."""
    if dtype not in DTYPES:
        raise UserError(f'it has an array of type {dtype!r}')
    size = math.prod(shape) * DTYPES[dtype].itemsize
    if size != len(data) or min(shape, default=0) < 0:
        raise UserError(f'an array of shape {tuple(shape)} has {len(data)} bytes instead of {size}')
    if not size:
        return torch.empty(shape, dtype=DTYPES[dtype])
    return torch.frombuffer(bytearray(data), dtype=DTYPES[dtype]).reshape(shape)


def _flat(content: Any) -> dict[str, Tensor]:
    state: dict[str, Tensor] = {}
    for key, value in content.items() if isinstance(content, dict) else ():
        if key == CHUNKED:
            raise UserError('it has arrays in chunks (above 1 GiB), which are not supported')
        if isinstance(value, Tensor):
            state[str(key)] = value
        elif isinstance(value, dict):
            state |= {f'{key}.{name}': tensor for name, tensor in _flat(value).items()}
        else:
            raise UserError(f'{key} is a {type(value).__name__} instead of an array')
    return state
