"""A run, which is a training with all of its resumes, and the checkpoints in a folder."""

import json
import os
import re
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from openmagvit2.checkpoint import read_checkpoint
from openmagvit2.checkpoint.sharded import ENDING
from openmagvit2.engine.sharded import remove_sharded
from openmagvit2.errors import UserError
from openmagvit2.io import write_text
from openmagvit2.io.process import host

RUN = 'run.json'
NAME = re.compile(r'iter_([0-9]+)\.(?:pth|dcp)')


def checkpoints(folder: str | Path) -> list[Path]:
    """List the checkpoints of a folder, the newest first.

    These are files ``iter_<digits>.pth`` and sharded ones, folders ``iter_<digits>.dcp``.
    """
    found = [
        path
        for path in Path(folder).glob('iter_*')
        if NAME.fullmatch(path.name) and path.is_dir() == (path.suffix == ENDING)
    ]
    return sorted(found, key=lambda path: -iteration(path))


def results(folder: str | Path) -> list[Path]:
    """List the checkpoints of a folder and, after them, the best of its validations."""
    best = [path for path in Path(folder).glob('best_*') if path.suffix in ('.pth', ENDING)]
    return checkpoints(folder) + sorted(best, key=lambda path: -path.stat().st_mtime)


def iteration(path: Path) -> int:
    """Return the iteration in a checkpoint's name."""
    return int(NAME.fullmatch(path.name)[1])


def meta_of(content: dict[str, Any]) -> dict[str, Any]:
    """Return what a checkpoint says of its training; may be empty."""
    meta = content.get('meta')
    return meta if isinstance(meta, dict) else {}


@dataclass
class Run:
    """A training with all of its resumes.

    Attributes:
        id: In ``run.json`` and in the ``meta.run`` of each checkpoint.
        config: File that it was started with.
        parent: ``[id, iteration]`` of the run that this one branched from, by a resume from an
            older file.
    """

    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    config: str = ''
    parent: list | None = None

    def has(self, path: Path, content: dict[str, Any]) -> bool:
        """Return whether a checkpoint is of this run; one of version 1, without an identity, is."""
        meta = meta_of(content)
        owner = meta.get('run')
        if owner == self.id:
            return True
        if self.parent is None:
            return owner is None
        # Until it branched off, a run was its parent. The best of a validation has no number in
        # its name.
        done = iteration(path) if NAME.fullmatch(path.name) else meta.get('iter', 0)
        return owner in (None, self.parent[0]) and done <= self.parent[1]

    def write(self, folder: str | Path) -> None:
        """Write ``run.json``."""
        now = time.strftime('%Y-%m-%d %H:%M:%S')
        content = dict(
            id=self.id,
            config=self.config,
            parent=self.parent,
            host=host(),
            pid=os.getpid(),
            started=now,
        )
        write_text(Path(folder) / RUN, json.dumps(content, indent=2) + '\n')

    def owns(self, path: Path) -> bool:
        """Return whether a file is a checkpoint of this run; an unreadable one is not."""
        try:
            return self.has(path, read_checkpoint(path, values=False))
        except UserError:
            return False

    def keep(self, most: int, newest: Path) -> None:
        """Remove the older checkpoints of this run beside a new one; those of other runs stay.

        Args:
            most: Checkpoints to keep.
            newest: The one just written, which stays though a folder that was resumed from an
                older file has later ones.
        """
        others = [path for path in checkpoints(newest.parent) if path != newest]
        for path in [path for path in others if self.owns(path)][most - 1 :]:
            if path.is_dir():
                remove_sharded(path)
            else:
                path.unlink()


def read_run(folder: str | Path) -> Run | None:
    """Return the run of a folder, or None if it has no identity.

    Raises:
        UserError: The file cannot be read.
    """
    path = Path(folder) / RUN
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
        return Run(str(content['id']), str(content.get('config', '')), content.get('parent'))
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f'{path} cannot be read ({error}); give another --work-dir, or remove the file if all '
            f'checkpoints are of one run.'
        ) from error
