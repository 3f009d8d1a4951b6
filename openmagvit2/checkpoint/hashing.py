"""SHA-256 of weights, files and other content; all hashes are computed here."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

# Bytes read at a time.
CHUNK = 1 << 20


def digest(parts: Iterable[bytes]) -> str:
    """Return the SHA-256 of the concatenated parts."""
    total = hashlib.sha256()
    for part in parts:
        total.update(part)
    return total.hexdigest()


def chunks(path: Path) -> Iterator[bytes]:
    """Yield the content of a file in chunks of at most 1 MiB."""
    with open(path, 'rb') as file:
        while chunk := file.read(CHUNK):
            yield chunk


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file, or of the names and contents of the files in a folder."""
    if not path.is_dir():
        return digest(chunks(path))
    files = sorted(file for file in path.iterdir() if file.is_file())
    return digest(part for file in files for part in (file.name.encode(), *chunks(file)))


def weights_hash(*modules: nn.Module, without: tuple[str, ...] = ()) -> str:
    """Return the SHA-256 of names, dtypes, shapes and bytes of the tensors of modules.

    Args:
        modules: Modules, hashed in this order, with the tensors of each sorted by name.
        without: Prefixes of the names of tensors to leave out.
    """
    return digest(part for module in modules for part in _parts(module.state_dict(), without))


def state_hash(state: Mapping[str, Tensor], without: tuple[str, ...] = ()) -> str:
    """Return the :func:`weights_hash` of a module with this state dict."""
    return digest(_parts(state, without))


def _parts(state: Mapping[str, Tensor], without: tuple[str, ...]) -> Iterator[bytes]:
    for name, tensor in sorted(state.items()):
        if not name.startswith(without):
            yield f'{name} {tensor.dtype} {tuple(tensor.shape)}'.encode()
            yield tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
