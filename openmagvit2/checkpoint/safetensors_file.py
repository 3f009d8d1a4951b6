"""Read and write checkpoints as safetensors.

The format has no nested dicts, so the names of averaged weights get a prefix. Files are written
tensor by tensor, without copies in memory, and equal those of the library byte for byte.
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

# Prefix of the names of averaged weights.
EMA_PREFIX = 'ema_state_dict.'
# The format's names of types; the library writes tensors in the reverse order.
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
    """Return whether a file begins like the format: a length, and a JSON header of that length."""
    with open(path, 'rb') as file:
        begin = file.read(9)
    length = int.from_bytes(begin[:8], 'little')
    return begin[8:] == b'{' and 2 <= length <= path.stat().st_size - 8


def read_safetensors(path: Path) -> dict:
    """Read raw and averaged weights, and ``meta.dataset_meta``.

    Raises:
        UserError: The file is damaged or not a safetensors file.
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
    """Return raw and averaged weights as one state dict."""
    averaged = content.get('ema_state_dict') or {}
    return content['state_dict'] | {f'{EMA_PREFIX}{name}': x for name, x in averaged.items()}


def write_safetensors(
    tensors: dict[str, Tensor], file: IO[bytes], meta: dict | None = None
) -> None:
    """Write tensors by name.

    Args:
        tensors: Tensors on the CPU by name.
        file: A file that is open for writing.
        meta: ``dataset_meta`` to store in the metadata, plain values.
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
