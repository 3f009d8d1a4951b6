"""Training of a config, as in ``tools/train.py``."""

import contextlib
import copy
import inspect
from collections.abc import Iterator, Sequence
from pathlib import Path

from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner

from openmagvit2.checkpoint import TRAINING_ONLY, check_weights, choose_weights, read_checkpoint
from openmagvit2.checkpoint.sharded import is_sharded
from openmagvit2.engine.hooks import ResumableCheckpointHook
from openmagvit2.engine.lock import lock
from openmagvit2.engine.loops import IterationLoop
from openmagvit2.engine.parallel.peers import watched
from openmagvit2.engine.resume.run_folder import Run, default_or_old, newest, resume_run, start_run
from openmagvit2.errors import UserError
from openmagvit2.evaluation.stages import check_stages
from openmagvit2.io import make_folder, named_if_full, usable
from openmagvit2.processes import on_main
from openmagvit2.registry import LOOPS
from openmagvit2.sizes import enough_memory
from openmagvit2.workflows.bare_model import bare_model
from openmagvit2.workflows.runner import (
    build_runner,
    listed,
    one_size,
    prepare,
    settings_of_mmengine,
)

# Remedy if memory runs out.
SMALLER = 'use a smaller global_batch_size, or more optim_wrapper.accumulative_counts'


def train(
    config: Config,
    work_dir: str | None = None,
    resume: str | bool = False,
    launcher: str = 'none',
    hooks: Sequence[Hook] = (),
) -> Runner:
    """Train a config to its end.

    Args:
        config: A loaded config.
        work_dir: Receives logs, the merged config, checkpoints and ``run.json``, which identifies
            the run; default: :func:`default_folder`.
        resume: A checkpoint; a folder, for its newest readable checkpoint; or True for that of the
            work directory, with a fresh start if there is none.
        launcher: 'none', 'pytorch', or 'slurm'; the process group must exist already.
        hooks: Further hooks, as objects.

    Raises:
        UserError: The config or a checkpoint is wrong, or the work directory contains the results
            of another run or is in use.
        ProcessLost: Another process has exited.
        TrainingStopped: A signal has stopped the training; its state is saved.
    """
    config = copy.deepcopy(config)
    _check_parts(config)
    # The main process looks and broadcasts, because processes may see a shared file system
    # differently for a while.
    folder, source = on_main(lambda: _find(config, work_dir, resume))
    content = _set_start(config, source)
    if config.get('val_dataloader') and config.get('val_evaluator'):
        check_stages(listed(config.val_evaluator), config.model, config.filename)
        prepare(config.val_evaluator)
    with contextlib.ExitStack() as stack:
        run = on_main(lambda: _claim(stack, folder, config, source, content))
        content = {}
        if config.get('load_from') and '://' not in config.load_from:
            _check_start(config, resume=bool(source))
        runner = build_runner(config, str(folder), launcher)
        for hook in hooks:
            runner.register_hook(hook)
        for hook in runner.hooks:
            if isinstance(hook, ResumableCheckpointHook):
                hook.run = run
        if is_main_process():
            run.write(folder)
        with _in_a_sentence(config, folder):
            runner.train()
    return runner


@contextlib.contextmanager
def _in_a_sentence(config: Config, folder: Path) -> Iterator[None]:
    """Raise one-sentence errors if settings, data, disk, memory or other processes end a run."""
    with (
        enough_memory(SMALLER),
        one_size(),
        settings_of_mmengine(),
        watched(config, str(folder)),
        named_if_full(folder),
    ):
        yield


def _check_parts(config: Config) -> None:
    for key in ('model', 'train_cfg', 'train_dataloader', 'optim_wrapper'):
        if not config.get(key):
            raise UserError(f'The config has no {key}, which a training needs.')
    if not config.train_dataloader.get('dataset'):
        raise UserError('The config has no train_dataloader.dataset, which a training needs.')
    if not {'constructor', 'optimizer'} & config.optim_wrapper.keys():
        raise UserError(
            "optim_wrapper has neither constructor nor optimizer; set constructor='RoleOptim"
            "Constructor' and an optimizer for each role of the model."
        )
    given = config.train_cfg.get('type')
    kind = LOOPS.find(given)
    if not inspect.isclass(kind) or not issubclass(kind, IterationLoop):
        raise UserError(
            f'train_cfg.type={given} must be IterationLoop or a subclass, which counts the samples '
            f'for resuming.'
        )


def _set_start(config: Config, source: Path | None) -> dict:
    """Set the weights that the Runner starts from; return the checkpoint to resume, or {}."""
    if source:
        config.resume, config.load_from = True, str(source)
        return _read_resumable(source)
    if config.get('resume'):
        # A merged config contains the checkpoint that its training was resumed from.
        ignored = f'load_from={config.get("load_from")}, from which an earlier run was resumed'
        print_log(f'Starting from scratch; ignored: {ignored}.', 'current')
        config.resume, config.load_from = False, None
    return {}


def _find(config: Config, work_dir: str | None, resume: str | bool) -> tuple[Path, Path | None]:
    """Return the folder of a training, and the checkpoint to resume, if any."""
    folder = Path(work_dir or config.get('work_dir') or default_or_old(config, resume))
    if not resume:
        return folder, None
    if resume is not True and (is_sharded(resume) or not Path(resume).is_dir()):
        return folder, Path(resume)
    where = folder if resume is True else Path(resume)
    found = newest(where)
    if found is None and resume is not True:
        raise UserError(f'--resume {where}: there is no checkpoint iter_<number>.pth in it.')
    if found is None:
        print_log(f'Nothing to resume in {folder}: starting from scratch.', 'current')
    return folder, found[0] if found else None


def _read_resumable(source: Path) -> dict:
    """Read a checkpoint that a training can resume from.

    Raises:
        UserError: The checkpoint contains a config, or only weights.
    """
    content = read_checkpoint(source, values=False)
    if 'config' in content.get('meta', {}):
        # mmengine would execute it.
        raise UserError(
            f'Checkpoint {source} carries a config in `meta.config`, which mmengine would execute; '
            f'remove the key.'
        )
    if not {'meta', 'optimizer'} <= content.keys():
        raise UserError(
            f'Checkpoint {source} holds weights only: start from them with --cfg-options '
            f'load_from={source}.'
        )
    return content


def _claim(
    stack: contextlib.ExitStack, folder: Path, config: Config, source: Path | None, content: dict
) -> Run:
    """Lock the folder until the end, and begin or continue its run."""
    make_folder(folder)
    stack.enter_context(lock(folder))
    return resume_run(folder, config, source, content) if source else start_run(folder, config)


def _check_start(config: Config, resume: bool) -> None:
    """Check the weights to start from, averages too, before the Runner is built."""
    path = config.load_from
    if not resume and Path(path).suffix == '.safetensors':
        raise UserError(
            f'load_from={path} must be a .pth file; tools/convert_checkpoint.py writes one from '
            f'the original.'
        )
    if not resume and not usable(path).exists():
        raise UserError(
            f'load_from={path} does not exist; name another file, or set load_from=None to start '
            f'from random weights.'
        )
    model = bare_model(config)
    content = read_checkpoint(path, values=False)
    what, optional = (f'Checkpoint {path}', ()) if resume else (f'load_from={path}', TRAINING_ONLY)
    for averaged in (False, True):
        check_weights(model, choose_weights(content, averaged), what, optional)
