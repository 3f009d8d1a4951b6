"""The work directory of a training: which one, whose it is, and the checkpoint to start from."""

import logging
import uuid
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log

from openmagvit2.checkpoint import read_checkpoint
from openmagvit2.engine.run import Run, checkpoints, iteration, meta_of, read_run, results
from openmagvit2.engine.settings import read_settings
from openmagvit2.errors import UserError

WAYS_OUT = 'go on with --resume, or give another --work-dir'


def default_folder(config: Config) -> Path:
    """Return ``work_dirs`` and the config's path below ``configs/``, or its name outside of it."""
    path = Path(config.filename).with_suffix('')
    parts = path.parts
    if 'configs' in parts[:-1]:
        parts = parts[len(parts) - 1 - parts[::-1].index('configs') + 1 :]
        return Path('work_dirs', *parts)
    return Path('work_dirs', path.name)


def newest(folder: str | Path, run: Run | None = None) -> tuple[Path, dict[str, Any]] | None:
    """Return the newest readable checkpoint of a folder and its content; None if it has none.

    The best of a validation is taken where there is no other.

    Args:
        folder: Where to look.
        run: The run whose checkpoints to consider; None takes the run of the folder.

    Raises:
        UserError: There are checkpoints, but none that can be read is of the run.
    """
    run = run or read_run(folder)
    found, passed = results(folder), []
    for path in found:
        try:
            content = read_checkpoint(path, values=False)
        except UserError as error:
            passed.append(path.name)
            print_log(f'{error} It is passed over.', 'current', logging.WARNING)
            continue
        if run is None or run.has(path, content):
            return path, content
        passed.append(path.name)
        print_log(
            f'{path} is of another run than {folder}; it is passed over.',
            'current',
            logging.WARNING,
        )
    if found:
        raise UserError(
            f'{folder}: none of its checkpoints can be read as one of its run '
            f'({", ".join(passed)}); give a checkpoint to --resume, or another --work-dir to '
            f'start anew.'
        )
    return None


def find_resume_checkpoint(folder: str | Path) -> Path | None:
    """Return the newest readable checkpoint of a folder; see :func:`newest`."""
    found = newest(folder)
    return found[0] if found else None


def default_or_old(config: Config, resume: str | bool) -> Path:
    """Return the default folder, or version 1's if only that has this run to resume."""
    folder, old = default_folder(config), Path('work_dirs', Path(config.filename).stem)
    if (
        resume is True
        and old != folder
        and not results(folder)
        and results(old)
        and _is_of(old, config)
    ):
        print_log(
            f'{folder} has nothing to resume; {old} has a run of this config, which goes on there.',
            'current',
        )
        return old
    return folder


def _is_of(folder: Path, config: Config) -> bool:
    """Return whether the run in a folder has the model of a config."""
    found = newest(folder)
    before = read_settings(str(meta_of(found[1]).get('cfg', ''))) if found else {}
    return bool(before) and before.get('model') == read_settings(config.pretty_text).get('model')


def begin(folder: Path, config: Config) -> Run:
    """Begin a new run in a folder.

    Raises:
        UserError: The folder holds the results of another one.
    """
    old, found = read_run(folder), results(folder)
    whose = f' of {old.config}' if old and old.config else ''
    if found:
        raise UserError(
            f'{folder} holds the results of another run{whose} ({found[0].name}); {WAYS_OUT}.'
        )
    if old:
        print_log(
            f'{folder} holds a run{whose} that ended before its first checkpoint; a new one takes '
            f'its place.',
            'current',
        )
    return Run(config=str(config.filename))


def go_on(folder: Path, config: Config, source: Path, content: dict[str, Any]) -> Run:
    """Return the run of a checkpoint, to continue it in a folder.

    Raises:
        UserError: The folder holds the results of another run.
    """
    at_home = source.resolve().parent == folder.resolve()
    old, owner = read_run(folder), meta_of(content).get('run')
    others = [path for path in results(folder) if path.resolve() != source.resolve()]
    if not at_home and others and (old is None or old.id != owner):
        raise UserError(
            f'{folder} holds the results of another run ({others[0].name}) than {source}; give '
            f'another --work-dir.'
        )
    if old is None and at_home:
        _check_config(folder, config)
    run = old if at_home and old else Run(id=owner or uuid.uuid4().hex, config=str(config.filename))
    return _branched(run, folder, source, meta_of(content).get('iter', 0))


def _branched(run: Run, folder: Path, source: Path, done: int) -> Run:
    """Return a run, or a branch of it if its folder has later checkpoints than ``source``.

    Args:
        run: The run that goes on.
        folder: Its folder.
        source: The checkpoint that it goes on from, after ``done`` iterations.
    """
    later = [
        path.name
        for path in checkpoints(folder)
        if path.resolve() != source.resolve() and iteration(path) > done and run.owns(path)
    ]
    if not later:
        return run
    print_log(
        f'{folder}: the run branches off at iteration {done}; later files stay until it writes the '
        f'same ({", ".join(later)}).',
        'current',
    )
    return Run(config=run.config, parent=[run.id, done])


def _check_config(folder: Path, config: Config) -> None:
    """Check that a folder without an identity belongs to the config, by the config file in it."""
    lying = sorted(path.stem for path in folder.glob('*.py'))
    if lying and Path(config.filename).stem not in lying:
        raise UserError(
            f'{folder} holds the run of {lying[0]}.py, not of {Path(config.filename).name}; give '
            f'another --work-dir.'
        )
