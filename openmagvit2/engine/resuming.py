"""Changes of the config at a resume: each is logged, or refused if it has no defined meaning."""

from pathlib import Path
from typing import Any

from mmengine.dist import get_world_size
from mmengine.logging import print_log

from openmagvit2.config.version_1 import translated
from openmagvit2.engine.optim.schedule import WarmupDecayLR
from openmagvit2.engine.settings import differences, read_settings
from openmagvit2.errors import UserError

# Keys of a scheduler's state that are its position, not its settings.
POSITION = ('last_step', '_global_step', '_last_value', 'verbose', 'optimizer')


def adopt_position(runner, checkpoint: dict[str, Any]) -> None:
    """Set the loop's position, and log each setting that differs from the checkpoint's.

    Raises:
        UserError: A change is not possible during a training: the seed, fewer iterations than
            done, another batch size with ``max_epochs``, or another schedule without closed form.
    """
    meta, loop = checkpoint['meta'], runner.train_loop
    texts = (meta.get('cfg', ''), runner.cfg.pretty_text)
    before, now = (translated(read_settings(text), {}, say=False) for text in texts)
    done, batch = meta['iter'], before.get('global_batch_size') or loop.global_batch_size
    if meta.get('seed', runner.seed) not in (None, runner.seed):
        raise UserError(
            f'seed={runner.seed}: the training began with {meta["seed"]}, which orders its '
            f'images; set seed={meta["seed"]}.'
        )
    if done > loop.max_iters:
        raise UserError(
            f'train_cfg.max_iters={loop.max_iters}: the checkpoint has {done} iterations; give '
            f'more, or an older checkpoint to --resume.'
        )
    if batch != loop.global_batch_size and runner.cfg.train_cfg.get('max_epochs'):
        raise UserError(
            f'global_batch_size={loop.global_batch_size} instead of {batch}: set '
            f'train_cfg.max_iters in place of max_epochs.'
        )
    _check_schedulers(runner.param_schedulers, checkpoint.get('param_schedulers', []))
    # Files of version 1 count iterations only.
    loop.samples_seen = meta.get('samples_seen', done * batch)
    for line in differences(before, now) if before else ():
        key = line.partition('=')[0]
        # The optimizer wrappers log changes of the compute type themselves.
        if not (key.startswith('optim_wrapper.') and key.endswith('.dtype')):
            print_log(f'resume: {line}', 'current')
    if done == loop.max_iters:
        print_log(
            f'Finished already: the checkpoint has all {done} iterations of train_cfg.max_iters.',
            'current',
        )


def resumes_at_home(runner) -> bool:
    """Return whether a training goes on from a checkpoint of an iteration in its own folder."""
    folder = Path(runner.work_dir)
    # Without a name, mmengine takes the newest of the folder.
    source = Path(runner.cfg.get('load_from') or folder / 'iter_0.pth')
    at_home = source.resolve().parent == folder.resolve()
    return at_home and not source.name.startswith('best_')


def say_what_is_not_exact(processes: int) -> None:
    """Log what a different number of processes changes.

    Args:
        processes: Number of random states in the checkpoint; 0 if unknown.
    """
    now = get_world_size()
    if processes in (0, now):
        return
    print_log(
        f'resume: {now} process{"es" if now > 1 else ""} instead of {processes}: the images are '
        f'the same and in the same order, but the training goes on not bit for bit: random numbers '
        f'(dropout) are drawn anew for each process, sums over processes round in another way, and '
        f'batch normalization sees other shares of a batch.',
        'current',
    )


def _check_schedulers(own: Any, theirs: Any) -> None:
    """Check that each scheduler can resume: a closed form, or one with the same settings."""
    own, theirs = (
        value if isinstance(value, dict) else {'': value or []} for value in (own, theirs)
    )
    for role in dict.fromkeys([*own, *theirs]):
        mine, saved = own.get(role, []), theirs.get(role, [])
        if len(mine) != len(saved):
            raise UserError(
                f'param_scheduler: {len(mine)} for {role or "the model"}, the checkpoint has '
                f'{len(saved)}; use the same.'
            )
        for scheduler, state in zip(mine, saved, strict=True):
            if isinstance(scheduler, WarmupDecayLR) and 'curve' in state:
                continue
            _check_same(scheduler, state)


def _check_same(scheduler: Any, state: dict[str, Any]) -> None:
    for key, value in scheduler.state_dict().items():
        if key in POSITION or not isinstance(value, (int, float, str, bool, list, tuple)):
            continue
        if key in state and state[key] != value:
            name = 'the learning rate' if key == 'base_values' else key
            raise UserError(
                f'param_scheduler {type(scheduler).__name__}: {name} was {state[key]!r} and is '
                f'{value!r}, which it cannot go on from; use WarmupDecayLR, or start from the '
                f'weights with load_from.'
            )
