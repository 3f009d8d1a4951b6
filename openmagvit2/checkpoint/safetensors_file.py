"""Checkpoints as .safetensors, which has no dicts: averaged weights have names of their own.

A file is written one tensor after the other: the library's bytes without copies in memory.
"""

import json
import math
from pathlib import Path
from typing import IO

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from openmagvit2.checkpoint.reader_errors import reader_errors

# What the names of averaged weights begin with.
EMA_PREFIX = 'ema_state_dict.'
# Names of the format, in the order in which the library puts types: the last ones come first.
DTYPES = {
    torch.bool: 'BOOL',
    torch.uint8: 'U8',
    torch.int8: 'I8',
    torch.int16: 'I16',
    torch.float16: 'F16',
    torch.bfloat16: 'BF16',
    torch.int32: 'I32',
    torch.float32: 'F32',
    torch.float64: 'F64',
    torch.int64: 'I64',
}
ORDER = list(DTYPES)


def is_safetensors(path: Path) -> bool:
    """Return whether a file begins as the format does: a length, and a header in JSON of it."""
    with open(path, 'rb') as file:
        begin = file.read(9)
    length = int.from_bytes(begin[:8], 'little')
    return begin[8:] == b'{' and 2 <= length <= path.stat().st_size - 8


def read_safetensors(path: Path) -> dict:
    """Read raw and averaged weights, and names of classes.

    Raises:
        UserError: The file is damaged, or is no file of safetensors.
    """
    with reader_errors(path, 'file of safetensors'):
        tensors = load_file(path)
        with safe_open(path, 'pt') as file:
            text = (file.metadata() or {}).get('dataset_meta')
        meta = dict(meta=dict(dataset_meta=json.loads(text))) if text else {}
    raw = {name: x for name, x in tensors.items() if not name.startswith(EMA_PREFIX)}
    averaged = {name.removeprefix(EMA_PREFIX): x for name, x in tensors.items() if name not in raw}
    return dict(state_dict=raw) | (dict(ema_state_dict=averaged) if averaged else {}) | meta


def flat(content: dict) -> dict[str, Tensor]:
    """Return raw and averaged weights as the tensors of one file."""
    averaged = content.get('ema_state_dict') or {}
    return content['state_dict'] | {f'{EMA_PREFIX}{name}': x for name, x in averaged.items()}


def write_safetensors(
    tensors: dict[str, Tensor], file: IO[bytes], meta: dict | None = None
) -> None:
    """Write tensors by name.

    Args:
        tensors: On the CPU.
        file: Open for writing.
        meta: Plain values for the metadata; see :func:`openmagvit2.checkpoint.dataset_meta`.
    """
    metadata = dict(format='pt') | (dict(dataset_meta=json.dumps(meta)) if meta else {})
    header: dict[str, dict] = {'__metadata__': metadata}
    names = sorted(tensors, key=lambda name: (-ORDER.index(tensors[name].dtype), name))
    start = 0
    for name in names:
        tensor = tensors[name]
        end = start + math.prod(tensor.shape) * tensor.element_size()
        header[name] = dict(
            dtype=DTYPES[tensor.dtype], shape=list(tensor.shape), data_offsets=[start, end]
        )
        start = end
    text = json.dumps(header, separators=(',', ':'), ensure_ascii=False).encode()
    text += b' ' * (-len(text) % 8)
    file.write(len(text).to_bytes(8, 'little') + text)
    for name in names:
        if tensors[name].numel():
            data = tensors[name].detach().contiguous().flatten().view(torch.uint8)
            file.write(memoryview(data.numpy()))
