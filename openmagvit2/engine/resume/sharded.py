"""Writing and removing sharded checkpoints: folders of torch.distributed.checkpoint."""

import logging
import os
import shutil
import warnings
from contextlib import suppress
from pathlib import Path

import torch
import torch.distributed.checkpoint as dcp
from mmengine.logging import print_log
from torch import Tensor
from torch.distributed.checkpoint import DefaultSavePlanner, FileSystemWriter
from torch.distributed.checkpoint.api import CheckpointException

from openmagvit2.checkpoint import save_atomically
from openmagvit2.checkpoint.shard_reader import FILE
from openmagvit2.checkpoint.sharded import CONTENT, flat, replaced
from openmagvit2.errors import UserError
from openmagvit2.io.atomic import is_leftover, temporary
from openmagvit2.processes import on_main

OLD = 'old-'


def write_sharded(content: dict, path: Path) -> None:
    """Write a checkpoint as a folder, each process its shards; all must call this together.

    The folder gets its name when all is on the disk; what was there before stays until then.

    Args:
        content: A checkpoint whose tensors may be sharded; those that are not are written once.
        path: The folder.

    Raises:
        UserError: A process cannot write; the folder is the same as before.
    """
    beside = Path(on_main(lambda: str(temporary(path))))
    try:
        _write_shards(flat(content), beside)
        on_main(lambda: _finish(content, beside, path))
    except (CheckpointException, UserError) as error:
        on_main(lambda: shutil.rmtree(beside, ignore_errors=True))
        if isinstance(error, UserError):
            raise
        rank, (cause, _) = sorted(error.failures.items())[0]
        if not isinstance(cause, (OSError, RuntimeError)):
            raise cause from None
        known = cause.strerror if isinstance(cause, OSError) else None
        reason = known or str(cause).partition('\n')[0]
        raise UserError(
            f'{path} cannot be written ({reason}, in process {rank}); what was there before is '
            f'kept. Free space, or give another folder.'
        ) from cause


def _write_shards(tensors: dict[str, Tensor], beside: Path) -> None:
    with warnings.catch_warnings():
        # Says that there is one process.
        warnings.filterwarnings('ignore', 'torch.distributed is disabled')
        dcp.save(
            tensors,
            storage_writer=FileSystemWriter(beside),
            planner=DefaultSavePlanner(flatten_state_dict=False),
        )


def _finish(content: dict, beside: Path, path: Path) -> None:
    """Write what is not in the shards, and give the folder its name."""
    save_atomically(replaced(content, lambda _, tensor: _on_meta(tensor)), beside / CONTENT)
    old = temporary(path, OLD)
    try:
        if path.exists():
            os.replace(path, old)
        os.replace(beside, path)
    except OSError as error:
        if old.exists() and not path.exists():
            os.replace(old, path)
        raise UserError(f'{path} cannot be written ({error.strerror}).') from error
    if old.exists():
        _remove(old)


def _on_meta(tensor: Tensor) -> Tensor:
    return torch.empty(tensor.shape, dtype=tensor.dtype, device='meta')


def remove_sharded(path: Path) -> None:
    """Remove a sharded checkpoint, unless it holds files of others.

    It loses its name first, so that half of it is never taken for a checkpoint.
    """
    if _foreign(path):
        return
    aside = temporary(path)
    os.replace(path, aside)
    _remove(aside)


def remove_sharded_leftovers(folder: str | Path) -> None:
    """Remove what killed writers left; put back a whole checkpoint that was to be replaced."""
    for path in sorted(Path(folder).glob('.tmp-*')):
        name = is_leftover(path)
        if not name or not path.is_dir():
            continue
        target = path.with_name(name.removeprefix(OLD))
        if name.startswith(OLD) and not target.exists():
            os.replace(path, target)
        elif not _foreign(path):
            _remove(path)


def _remove(path: Path) -> None:
    for file in path.iterdir():
        with suppress(OSError):
            file.unlink()
    with suppress(OSError):
        path.rmdir()


def _foreign(path: Path) -> bool:
    """Return whether a folder holds more than a checkpoint's files, and say so."""
    others = sorted(file.name for file in path.iterdir() if not FILE.fullmatch(file.name))
    if others:
        print_log(
            f'{path} is not removed: {others[0]} in it is no file of a checkpoint.',
            'current',
            logging.WARNING,
        )
    return bool(others)
