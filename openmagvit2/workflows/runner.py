"""mmengine's Runner of a config, as training and testing share it."""

import contextlib
import copy
import logging
import sys
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec

from mmengine.config import Config, ConfigDict
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.optim import _ParamScheduler
from mmengine.runner import LogProcessor, Runner

from openmagvit2.config.keys import DEFAULT_HOOKS
from openmagvit2.engine.checks import check_schedulers
from openmagvit2.engine.numerics import set_numerics
from openmagvit2.engine.run_folder import default_folder
from openmagvit2.errors import UserError
from openmagvit2.evaluation.metrics.base import StreamingMetric
from openmagvit2.io import make_folder
from openmagvit2.protocols import Preparing
from openmagvit2.registry import METRICS

# Classes of mmengine that check their settings late, and the keys that configure them.
CONFIGURED: dict[type, str] = {_ParamScheduler: 'param_scheduler', LogProcessor: 'log_processor'}
# Where a fork of a process that has used an accelerator may crash, as Python's manual says.
FORKS_CRASH = sys.platform == 'darwin'
# What backends of mmengine's visualizer need beyond our own requirements.
BACKEND_PACKAGES = {'TensorboardVisBackend': 'tensorboard', 'WandbVisBackend': 'wandb'}
# The second in which this process built its last Runner.
_last = 0


def build_runner(
    config: Config, work_dir: str | None = None, launcher: str = 'none', kind: type[Runner] = Runner
) -> Runner:
    """Build mmengine's Runner, or a subclass, of a config.

    The work directory defaults to :func:`default_folder`.
    """
    config = copy.deepcopy(config)
    check_backends(config)
    config.work_dir = str(work_dir or config.get('work_dir') or default_folder(config))
    make_folder(config.work_dir)
    config.launcher = launcher
    set_test(config)
    set_loops(config)
    leave_out_hooks(config)
    count_once(config)
    # The Runner takes its seed from here, and hands it to the sampler; random transforms get the
    # same.
    config.randomness = set_numerics(config)
    loader = config.get('train_dataloader') or {}
    for part in (loader.get('dataset'), loader.get('sampler')):
        # With `diff_rank_seed` mmengine gives a sampler none; its order is that of all processes.
        if isinstance(part, dict):
            part.setdefault('seed', config.randomness['seed'])
    config.param_scheduler = config.get('param_scheduler') or None
    check_schedulers(config.param_scheduler)
    set_wrapper(config)
    set_workers(config)
    with settings_of_mmengine({Hook: 'custom_hooks'}), own_second():
        return kind.from_cfg(config)


@contextlib.contextmanager
def own_second() -> Iterator[None]:
    """Wait for a second in which this process has built no Runner: mmengine keeps logs and
    histories of all runs of a process, and tells them apart by the second of their start.
    """
    global _last
    while int(time.time()) == _last:
        time.sleep(0.01)
    try:
        yield
    finally:
        _last = int(time.time())


def check_backends(config: Config) -> None:
    """Check that the packages of the visualizer's backends are installed.

    Raises:
        UserError: One is not.
    """
    for backend in (config.get('visualizer') or {}).get('vis_backends') or ():
        package = BACKEND_PACKAGES.get(backend.get('type'))
        if package and find_spec(package) is None:
            raise UserError(
                f'visualizer.vis_backends: {backend["type"]} needs the package {package}: pip '
                f'install "openmagvit2[optional]".'
            )


def set_wrapper(config: Config) -> None:
    """Name the data-parallel wrapper with its scope: mmengine looks this one up before it knows
    ours.
    """
    kind = (config.get('model_wrapper_cfg') or {}).get('type')
    if isinstance(kind, str) and '.' not in kind:
        config.model_wrapper_cfg.type = f'openmagvit2.{kind}'


def set_workers(config: Config) -> None:
    """Start loader workers by 'spawn' on macOS, as Python does, unless the config says otherwise;
    mmengine forks.
    """
    if FORKS_CRASH:
        settings = config.get('env_cfg') or {}
        started = dict(mp_start_method='spawn') | (settings.get('mp_cfg') or {})
        config.env_cfg = dict(settings, mp_cfg=started)


def set_test(config: Config) -> None:
    """Test on what the config validates on, unless it says otherwise."""
    config.setdefault('test_dataloader', config.get('val_dataloader'))
    config.setdefault('test_evaluator', config.get('val_evaluator'))


def set_loops(config: Config) -> None:
    """Validate, and test, where the config has both images and metrics for that; mmengine wants all
    three keys or none.
    """
    for name, loop in (('val', 'ValidationLoop'), ('test', 'TestLoop')):
        keys = [f'{name}_dataloader', f'{name}_evaluator']
        there = [key for key in keys if config.get(key)]
        if len(there) == 2:
            config[f'{name}_cfg'] = config.get(f'{name}_cfg') or dict(type=loop)
            continue
        if name == 'val':
            why = f', for there is {there[0]} alone' if there else ''
            print_log(f'The training has no validation{why}.', 'current')
        for key in (*keys, f'{name}_cfg'):
            config[key] = None


def leave_out_hooks(config: Config) -> None:
    """Remove default hooks that are None; mmengine knows that of its own six alone."""
    hooks = config.get('default_hooks') or {}
    for name in [name for name, hook in hooks.items() if hook is None]:
        if name not in DEFAULT_HOOKS:
            del hooks[name]


def count_once(config: Config) -> None:
    """Keep samplers of evaluations from padding: mmengine's repeats images, by default, until all
    processes have as many.

    Raises:
        UserError: One never ends, as that of a training.
    """
    for name in ('val_dataloader', 'test_dataloader'):
        sampler = (config.get(name) or {}).get('sampler') or {}
        if str(sampler.get('type')).endswith('InfiniteSampler'):
            raise UserError(
                f"{name}.sampler: {sampler.type} never ends; set dict(type='DefaultSampler', "
                f'shuffle=False).'
            )
        if str(sampler.get('type')).endswith('DefaultSampler') and sampler.get('round_up', True):
            sampler.round_up = False
            print_log(
                f'{name}.sampler.round_up is set to False: some images would count twice.',
                'current',
                logging.WARNING,
            )


def prepare(evaluators: ConfigDict | Sequence[ConfigDict]) -> list[BaseMetric]:
    """Build evaluators and load their networks, so that missing weights fail before any image."""
    settings = [evaluator.to_dict() for evaluator in listed(evaluators)]
    metrics = [METRICS.build(setting) for setting in settings]
    # mmengine notices two metrics of one name only at the end.
    names: list[str | dict] = []
    for metric, setting in zip(metrics, settings, strict=True):
        name = metric.name if isinstance(metric, StreamingMetric) else ''
        if (name or setting) in names:
            raise UserError(f'{setting["type"]} would be measured twice; remove one of the two.')
        names.append(name or setting)
    for metric in metrics:
        if isinstance(metric, Preparing):
            metric.prepare()
    return metrics


def listed(evaluators: ConfigDict | Sequence[ConfigDict]) -> Sequence[ConfigDict]:
    """Return the configs of the evaluators as a list, also where there is one alone."""
    return [evaluators] if isinstance(evaluators, dict) else evaluators


@contextlib.contextmanager
def settings_of_mmengine(more: Mapping[type, str] | None = None) -> Iterator[None]:
    """Turn an error in one of mmengine's schedules, or in its log, into the user's mistake that it
    is, as of a ``begin`` behind the end of the training.

    Args:
        more: Further classes, and the keys that configure them.
    """
    configured = CONFIGURED | dict(more or {})
    try:
        yield
    except Exception as error:
        # mmengine replaces a TypeError within a hook, which every scheduler steps in.
        first = error.__context__ or error
        frames = [frame for frame, _ in traceback.walk_tb(first.__traceback__)]
        within = [f for f in frames if isinstance(f.f_locals.get('self'), tuple(configured))]
        # In a method of one's own it is a bug.
        if not within or not within[-1].f_globals['__name__'].startswith('mmengine.'):
            raise
        kind = type(within[-1].f_locals['self'])
        key = next(key for base, key in configured.items() if issubclass(kind, base))
        raise UserError(
            f'{key}: {kind.__name__} cannot be used so: {str(first) or type(first).__name__}; '
            f'correct its settings.'
        ) from error


@contextlib.contextmanager
def one_size() -> Iterator[None]:
    """Turn torch's error of a batch that cannot be stacked into the user's mistake that it is."""
    try:
        yield
    except RuntimeError as error:
        _, found, sizes = str(error).rpartition(
            'stack expects each tensor to be equal size, but got '
        )
        # Elsewhere than where a batch is made of images it is a bug.
        if not found or 'collate' not in ''.join(traceback.format_exception(error)):
            raise
        raise UserError(
            f"Images of one batch differ in size ({sizes.strip()}); set the data set's pipeline "
            f'to Resize and a crop, or test with --size.'
        ) from error
