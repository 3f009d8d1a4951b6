"""Writing .safetensors one tensor after the other: the library's bytes without copies in memory."""

import json
import math
from typing import IO

import torch
from torch import Tensor

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
