"""The work directory of a training: its run, its checkpoints, and which of them to resume."""

import json
import logging
import math
import os
import re
import time
import uuid
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log

from openmagvit2.checkpoint import read_checkpoint
from openmagvit2.checkpoint.sharded import ENDING
from openmagvit2.engine.resume.changes import read_settings
from openmagvit2.engine.resume.sharded import remove_sharded
from openmagvit2.errors import UserError
from openmagvit2.io import write_text
from openmagvit2.io.process import host

RUN = 'run.json'
NAME = re.compile(r'iter_([0-9]+)\.(?:pth|dcp)')


@dataclass
class Run:
    """A training with all of its resumes.

    Attributes:
        id: Identity, stored in ``run.json`` and in the ``meta.run`` of each checkpoint.
        config: Config file that the training was started with.
        parent: ``[id, iteration]`` of the run that this one branched from by resuming one of its
            older checkpoints.
    """

    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    config: str = ''
    parent: list | None = None

    def has(self, content: dict[str, Any]) -> bool:
        """Return whether a checkpoint belongs to this run; version 1 wrote no identity."""
        meta = meta_of(content)
        owner = meta.get('run')
        if owner == self.id:
            return True
        if self.parent is None:
            return owner is None
        # Up to the branch, the checkpoints of the parent belong to this run too.
        return owner in (None, self.parent[0]) and meta.get('iter', math.inf) <= self.parent[1]

    def owns(self, path: Path) -> bool:
        """Return whether a file is a readable checkpoint of this run."""
        try:
            return self.has(read_checkpoint(path, values=False))
        except UserError:
            return False

    def keep(self, most: int, newest: Path) -> None:
        """Remove the oldest checkpoints of this run; those of other runs stay.

        Args:
            most: Number of checkpoints to keep.
            newest: The checkpoint just written. It stays even if the folder has later ones, which
                is the case after resuming an older checkpoint.
        """
        others = [path for path in checkpoints(newest.parent) if path != newest]
        for path in [path for path in others if self.owns(path)][most - 1 :]:
            if path.is_dir():
                remove_sharded(path)
            else:
                path.unlink()

    def write(self, folder: str | Path) -> None:
        """Write ``run.json``."""
        now = time.strftime('%Y-%m-%d %H:%M:%S')
        content = asdict(self) | dict(host=host(), pid=os.getpid(), started=now)
        write_text(Path(folder) / RUN, json.dumps(content, indent=2) + '\n')


def read_run(folder: str | Path) -> Run | None:
    """Return the run of a folder, or None if it has no ``run.json``.

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
            f'{path} cannot be read ({error}); choose another --work-dir, or remove the file if '
            f'all checkpoints belong to one run.'
        ) from error


def meta_of(content: dict[str, Any]) -> dict[str, Any]:
    """Return the ``meta`` of a checkpoint; empty if it has none."""
    meta = content.get('meta')
    return meta if isinstance(meta, dict) else {}


def iteration(path: Path) -> int:
    """Return the iteration in the name of a checkpoint."""
    return int(NAME.fullmatch(path.name)[1])


def checkpoints(folder: str | Path) -> list[Path]:
    """List the checkpoints of a folder, newest first.

    These are files ``iter_<digits>.pth`` and sharded checkpoints, folders ``iter_<digits>.dcp``.
    """
    found = [
        path
        for path in Path(folder).glob('iter_*')
        if NAME.fullmatch(path.name) and path.is_dir() == (path.suffix == ENDING)
    ]
    return sorted(found, key=iteration, reverse=True)


def results(folder: str | Path) -> list[Path]:
    """List the checkpoints of a folder and, after them, the best ones by validation."""
    best = [path for path in Path(folder).glob('best_*') if path.suffix in ('.pth', ENDING)]
    return checkpoints(folder) + sorted(best, key=lambda path: -path.stat().st_mtime)


def newest(folder: str | Path) -> tuple[Path, dict[str, Any]] | None:
    """Return the newest readable checkpoint of a folder's run and its content; None without any.

    The best one by validation is used only if there is no other.

    Raises:
        UserError: There are checkpoints, but none of the run can be read.
    """
    run = read_run(folder)
    found = results(folder)
    for path in found:
        try:
            content = read_checkpoint(path, values=False)
        except UserError as error:
            print_log(f'{error} It is skipped.', 'current', logging.WARNING)
            continue
        if run is None or run.has(content):
            return path, content
        print_log(
            f'{path} belongs to another run than {folder}; it is skipped.',
            'current',
            logging.WARNING,
        )
    if found:
        names = ', '.join(path.name for path in found)
        raise UserError(
            f'{folder}: none of its checkpoints is readable and belongs to its run ({names}); pass '
            f'a checkpoint to --resume, or another --work-dir to start a new run.'
        )
    return None


def default_folder(config: Config) -> Path:
    """Return ``work_dirs`` plus the config's path below ``configs/``, or its name outside of it."""
    *folders, name = Path(config.filename).with_suffix('').parts
    depth = folders[::-1].index('configs') if 'configs' in folders else 0
    return Path('work_dirs', *folders[len(folders) - depth :], name)


def default_or_old(config: Config, resume: str | bool) -> Path:
    """Return the default folder, or version 1's if only that one has a run to resume."""
    folder, old = default_folder(config), Path('work_dirs', Path(config.filename).stem)
    if (
        resume is True
        and old != folder
        and not results(folder)
        and results(old)
        and _has_model(old, config)
    ):
        print_log(
            f'{folder} has nothing to resume; the run of this config in {old} is resumed.',
            'current',
        )
        return old
    return folder


def _has_model(folder: Path, config: Config) -> bool:
    """Return whether the run in a folder trains the model of a config."""
    found = newest(folder)
    before = read_settings(str(meta_of(found[1]).get('cfg', ''))) if found else {}
    return bool(before) and before.get('model') == read_settings(config.pretty_text).get('model')


def start_run(folder: Path, config: Config) -> Run:
    """Return a new run to start in a folder.

    Raises:
        UserError: The folder holds the results of another run.
    """
    old, found = read_run(folder), results(folder)
    of = f' of {old.config}' if old and old.config else ''
    if found:
        raise UserError(
            f'{folder} holds the results of another run{of} ({found[0].name}); continue it with '
            f'--resume, or choose another --work-dir.'
        )
    if old:
        print_log(
            f'{folder} holds a run{of} that ended before its first checkpoint; a new run replaces '
            f'it.',
            'current',
        )
    return Run(config=str(config.filename))


def resume_run(folder: Path, config: Config, source: Path, content: dict[str, Any]) -> Run:
    """Return the run to continue in a folder from a checkpoint.

    If the folder has later checkpoints of the run, this is a branch of it.

    Raises:
        UserError: The folder holds the results of another run.
    """
    at_home = source.resolve().parent == folder.resolve()
    old, meta = read_run(folder), meta_of(content)
    owner = meta.get('run')
    others = [path for path in results(folder) if path.resolve() != source.resolve()]
    if not at_home and others and (old is None or old.id != owner):
        raise UserError(
            f'{folder} holds the results of another run ({others[0].name}) than {source}; choose '
            f'another --work-dir.'
        )
    if at_home and old:
        run = old
    else:
        if at_home:
            _check_config(folder, config)
        run = Run(id=owner or uuid.uuid4().hex, config=str(config.filename))
    done = meta.get('iter', 0)
    later = [
        path
        for path in others
        if NAME.fullmatch(path.name) and iteration(path) > done and run.owns(path)
    ]
    if not later:
        return run
    print_log(
        f'{folder}: the run branches at iteration {done}; later files stay until new ones of the '
        f'same name replace them ({", ".join(path.name for path in later)}).',
        'current',
    )
    return Run(config=run.config, parent=[run.id, done])


def _check_config(folder: Path, config: Config) -> None:
    """Check that a folder without ``run.json`` belongs to a config, by the config file in it."""
    own = sorted(path.stem for path in folder.glob('*.py'))
    if own and Path(config.filename).stem not in own:
        raise UserError(
            f'{folder} holds the run of {own[0]}.py, not of {Path(config.filename).name}; choose '
            f'another --work-dir.'
        )
