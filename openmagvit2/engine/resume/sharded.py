"""Write and remove sharded checkpoints, which are folders of torch.distributed.checkpoint."""

import logging
import os
import shutil
import warnings
from contextlib import suppress
from pathlib import Path

import torch.distributed.checkpoint as dcp
from mmengine.logging import print_log
from torch import Tensor
from torch.distributed.checkpoint import DefaultSavePlanner, FileSystemWriter
from torch.distributed.checkpoint.api import CheckpointException

from openmagvit2.checkpoint import save_atomically
from openmagvit2.checkpoint.shard_reader import FILE
from openmagvit2.checkpoint.sharded import CONTENT, flat, replaced
from openmagvit2.engine.parallel.shards import empty
from openmagvit2.errors import UserError
from openmagvit2.io.atomic import is_leftover, temporary
from openmagvit2.processes import on_main

# Prefix of the temporary name of a checkpoint that is being replaced.
OLD = 'old-'


def write_sharded(content: dict, path: Path) -> None:
    """Write a checkpoint as a folder: each process writes its shards.

    All processes must call this together. The folder is written under a temporary name; until it is
    complete, an older checkpoint of the same name stays.

    Args:
        content: A checkpoint whose tensors may be sharded; other tensors are written once.
        path: The folder.

    Raises:
        UserError: A process cannot write; an older checkpoint is kept.
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
            f'kept. Free space, or choose another folder.'
        ) from cause


def _write_shards(tensors: dict[str, Tensor], beside: Path) -> None:
    with warnings.catch_warnings():
        # The warning of a single process.
        warnings.filterwarnings('ignore', 'torch.distributed is disabled')
        dcp.save(
            tensors,
            storage_writer=FileSystemWriter(beside),
            planner=DefaultSavePlanner(flatten_state_dict=False),
        )


def _finish(content: dict, beside: Path, path: Path) -> None:
    """Write what is not in the shards, and rename the folder."""
    save_atomically(replaced(content, lambda _, tensor: empty(tensor)), beside / CONTENT)
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


def remove_sharded(path: Path) -> None:
    """Remove a sharded checkpoint, unless it contains other files.

    It is renamed first, so that an incomplete folder is never mistaken for a checkpoint.
    """
    if _has_other_files(path):
        return
    aside = temporary(path)
    os.replace(path, aside)
    _remove(aside)


def remove_sharded_leftovers(folder: str | Path) -> None:
    """Remove the temporary folders of killed writers; restore a checkpoint they were replacing."""
    for path in sorted(Path(folder).glob('.tmp-*')):
        name = is_leftover(path)
        if not name or not path.is_dir():
            continue
        target = path.with_name(name.removeprefix(OLD))
        if name.startswith(OLD) and not target.exists():
            os.replace(path, target)
        elif not _has_other_files(path):
            _remove(path)


def _remove(path: Path) -> None:
    for file in path.iterdir():
        with suppress(OSError):
            file.unlink()
    with suppress(OSError):
        path.rmdir()


def _has_other_files(path: Path) -> bool:
    """Return whether a folder contains more than the files of a checkpoint, and log it."""
    others = sorted(file.name for file in path.iterdir() if not FILE.fullmatch(file.name))
    if others:
        print_log(
            f'{path} is not removed: it contains {others[0]}, which is not part of a checkpoint.',
            'current',
            logging.WARNING,
        )
    return bool(others)
