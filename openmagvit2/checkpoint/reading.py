"""Read checkpoints of all supported formats without executing anything in them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from openmagvit2.checkpoint.containers import joined, opened, picked
from openmagvit2.checkpoint.faults import described
from openmagvit2.checkpoint.flax_msgpack import is_msgpack, read_msgpack
from openmagvit2.checkpoint.mistaken import check_beginning
from openmagvit2.checkpoint.names import unwrapped
from openmagvit2.checkpoint.safetensors_file import is_safetensors, read_safetensors
from openmagvit2.checkpoint.sharded import is_sharded, read_sharded
from openmagvit2.checkpoint.torchscript import is_torchscript, read_torchscript
from openmagvit2.checkpoint.untrusted import read_pickle
from openmagvit2.errors import UserError
from openmagvit2.io import usable_text


def read_checkpoint(path: str | Path, values: bool = True, entry: str | None = None) -> dict:
    """Read a checkpoint without executing anything in it.

    The content determines the format of a file: torch.save, safetensors, flax (msgpack) or
    TorchScript. A folder is a sharded checkpoint.

    Args:
        path: The file or folder.
        values: Whether to read the tensors of a sharded checkpoint; those of files are mapped.
        entry: Which weights to take if the file has several: the path of an entry, or a prefix of
            tensor names, such as ``'ema'``.

    Returns:
        A dict with ``state_dict`` and the other entries of the file; if the file is a state dict
        itself, that alone. Prefixes of torch.compile and of data parallelism are removed from
        names, with a printed line.

    Raises:
        UserError: The file is missing or unreadable, or contains objects other than tensors and
            plain Python values.
    """
    path = usable_text(path)
    if is_sharded(path):
        return read_sharded(path, values)
    if path.is_dir():
        raise UserError(
            f'Checkpoint {path} is a folder, not a checkpoint; name a file in it, or a sharded '
            f'checkpoint iter_<number>.dcp.'
        )
    if not path.is_file():
        raise UserError(f'Checkpoint {path} does not exist.')
    check_beginning(path)
    return joined(unwrapped(_weights(_read(path), path, entry), f'Checkpoint {path}'))


def read_checkpoints(paths: Sequence[str | Path], entry: str | None = None) -> dict:
    """Read one checkpoint, or join several files of one model; see :func:`read_checkpoint`.

    Raises:
        UserError: Two files have tensors of the same name with different values.
    """
    file = read_checkpoint(paths[0], entry=entry)
    for path in paths[1:]:
        other = read_checkpoint(path, entry=entry)
        both = file['state_dict'].keys() & other['state_dict'].keys()
        for name in sorted(both):
            if not _equal(file['state_dict'][name], other['state_dict'][name]):
                raise UserError(
                    f'{paths[0]} and {path} both have {name}, with different values; pass files '
                    f'of one model.'
                )
        file = other | file | dict(state_dict=file['state_dict'] | other['state_dict'])
    return file


def _equal(value: Any, other: Any) -> bool:
    """Return whether two entries of state dicts are equal dense tensors."""
    dense = [isinstance(x, Tensor) and x.layout is torch.strided for x in (value, other)]
    return all(dense) and value.equal(other)


def _read(path: Path) -> Any:
    """Read a file of safetensors, flax, TorchScript or torch.save, whichever it is."""
    # A damaged file with this ending is reported as one of safetensors.
    if path.suffix == '.safetensors' or is_safetensors(path):
        return read_safetensors(path)
    if is_msgpack(path):
        return read_msgpack(path)
    return read_torchscript(path) if is_torchscript(path) else read_pickle(path)


def _weights(content: Any, path: Path, entry: str | None) -> dict:
    """Return the content of a file with its weights as ``state_dict``."""
    source = f'Checkpoint {path}'
    if entry is not None and isinstance(content, dict):
        content = picked(content, entry, source)
    else:
        content = opened(content, source)
    _check_state(content['state_dict'], f'{source} holds')
    if content.get('ema_state_dict') is not None:
        _check_state(content['ema_state_dict'], f'{source}: its ema_state_dict holds')
    return content


def _check_state(state: Any, source: str) -> None:
    """Raise UserError if keys of a state dict are not names, or tensors have no values."""
    found = None if isinstance(state, dict) else described(state)
    if found is None and not all(isinstance(name, str) for name in state):
        found = 'a dict with keys that are not strings'
    if found:
        raise UserError(f'{source} {found} instead of a state dict (tensors by name).')
    empty = [name for name, x in state.items() if isinstance(x, Tensor) and x.is_meta]
    if empty:
        raise UserError(
            f'{source} tensors without values, such as {empty[0]}: it was saved from a model on '
            f"the device 'meta'."
        )


def dataset_meta(checkpoint: dict) -> dict:
    """Return what a checkpoint states about its training data, such as ``classes``."""
    meta = checkpoint.get('meta')
    found = meta.get('dataset_meta') if isinstance(meta, dict) else None
    return found if isinstance(found, dict) else {}
