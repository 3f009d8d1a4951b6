"""Write checkpoints atomically."""

from collections.abc import Sequence
from pathlib import Path

import torch

from openmagvit2.checkpoint.mapped import ReleasingFile
from openmagvit2.checkpoint.reading import dataset_meta
from openmagvit2.checkpoint.safetensors_file import flat, write_safetensors
from openmagvit2.errors import UserError
from openmagvit2.io import write_atomically


def write_checkpoint(content: dict, path: str | Path, sources: Sequence[str | Path] = ()) -> None:
    """Write a checkpoint atomically.

    Args:
        content: ``state_dict`` and other entries; of these, ``.safetensors`` files keep only
            averaged weights and ``meta.dataset_meta``.
        path: A file that ends in ``.pth``, ``.pt``, ``.ckpt`` or ``.safetensors``.
        sources: Files from which tensors are mapped; their pages are released during writing.

    Raises:
        UserError: The file ends otherwise, or cannot be written.
    """
    path = Path(path)
    if path.suffix == '.safetensors':
        with write_atomically(path) as file:
            write_safetensors(flat(content), ReleasingFile(file, sources), dataset_meta(content))
    elif path.suffix in ('.pth', '.ckpt', '.pt'):
        save_atomically(content, path, sources)
    else:
        raise UserError(f'{path}: write a checkpoint as .pth or .safetensors.')


def save_atomically(content: dict, path: Path, sources: Sequence[str | Path] = ()) -> None:
    """Write a ``.pth`` file atomically; see :func:`write_checkpoint`."""
    with write_atomically(path) as file:
        torch.save(content, ReleasingFile(file, sources) if sources else file)
