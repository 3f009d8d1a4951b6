"""What may be wrong with a file or a tensor of one: each in words."""

import codecs
from pathlib import Path

import torch
from torch import Tensor

from openmagvit2.checkpoint.safetensors_file import DTYPES
from openmagvit2.errors import UserError

# Bytes that tell a text.
HEAD = 256


def check_content(path: Path) -> None:
    """Check that a file is neither empty nor a text, which failed downloads are.

    Raises:
        UserError: It is: a page of a browser, a pointer of Git LFS, an index of shards.
    """
    with open(path, 'rb') as file:
        head = file.read(HEAD)
        file.seek(-min(1, len(head)), 2)
        last = file.read()
    if not head:
        raise UserError(f'Checkpoint {path} cannot be read safely: it is empty; fetch it again.')
    # Pickles of protocol 0 are texts that end with a dot.
    if not _is_text(head) or last == b'.':
        return
    begins = head.decode(errors='ignore').strip().partition('\n')[0][:40]
    remedy = (
        'name the files that it lists'
        if path.name.endswith('.index.json')
        else 'fetch the file itself, this may be a web page or a pointer of Git LFS'
    )
    raise UserError(
        f'Checkpoint {path} cannot be read safely: it is a text that begins with {begins!r}; '
        f'{remedy}.'
    )


def _is_text(head: bytes) -> bool:
    try:
        # A letter that is cut at the end is none to complain of.
        text = codecs.getincrementaldecoder('utf-8')().decode(head)
    except UnicodeDecodeError:
        return False
    return all(letter.isprintable() or letter.isspace() for letter in text)


def wrong_numbers(tensor: Tensor, expected: Tensor) -> str | None:
    """Return what a tensor of a file has in the place of plain numbers, or None.

    Args:
        tensor: Of the file.
        expected: The model's, of which only the type counts.
    """
    if tensor.layout is not torch.strided or tensor.is_quantized:
        return f'{"quantized" if tensor.is_quantized else "sparse"} instead of dense'
    if expected.is_floating_point() and not tensor.is_floating_point():
        return f'{_name(tensor)} instead of floating-point numbers'
    if tensor.dtype not in DTYPES:
        return f'{_name(tensor)}, which is not kept here; convert it to {_name(expected)}'
    return None


def _name(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix('torch.')
