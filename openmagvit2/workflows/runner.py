"""Building of mmengine's Runner from a config, for training and testing."""

import contextlib
import copy
import logging
import sys
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.optim import _ParamScheduler
from mmengine.runner import LogProcessor, Runner

from openmagvit2.config.keys import DEFAULT_HOOKS
from openmagvit2.engine.checks import check_schedulers
from openmagvit2.engine.numerics import set_numerics
from openmagvit2.engine.resume.run_folder import default_folder
from openmagvit2.errors import UserError
from openmagvit2.evaluation.metrics.base import StreamingMetric
from openmagvit2.io import make_folder
from openmagvit2.protocols import Preparing
from openmagvit2.registry import METRICS, MODELS
from openmagvit2.signatures import OWN

# Classes of mmengine that check their settings late, and the keys that configure them.
CONFIGURED: dict[type, str] = {_ParamScheduler: 'param_scheduler', LogProcessor: 'log_processor'}
# Whether forking a process that has used an accelerator may crash, according to Python's manual.
FORKS_CRASH = sys.platform == 'darwin'
# Packages of mmengine's visualizer backends that are not among our requirements.
BACKEND_PACKAGES = {'TensorboardVisBackend': 'tensorboard', 'WandbVisBackend': 'wandb'}
# The second in which this process has built its last Runner.
_last = 0


def build_runner(
    config: Config, work_dir: str | None = None, launcher: str = 'none', kind: type[Runner] = Runner
) -> Runner:
    """Build mmengine's Runner, or a subclass, from a config.

    The default work directory is :func:`default_folder`.
    """
    config = copy.deepcopy(config)
    check_backends(config)
    config.work_dir = str(work_dir or config.get('work_dir') or default_folder(config))
    make_folder(config.work_dir)
    config.launcher = launcher
    set_test(config)
    set_loaders(config)
    set_loops(config)
    set_hooks(config)
    count_once(config)
    # The Runner takes its seed from here and passes it to the sampler; random transforms get the
    # same seed.
    config.randomness = set_numerics(config)
    loader = config.get('train_dataloader') or {}
    for part in (loader.get('dataset'), loader.get('sampler')):
        # With `diff_rank_seed`, mmengine passes no seed to the sampler, whose order all processes
        # share.
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
    """Wait for a second in which this process has built no Runner: mmengine distinguishes the logs
    and histories of the runs of a process by the second of their start.
    """
    global _last
    while int(time.time()) == _last:
        time.sleep(0.01)
    try:
        yield
    finally:
        _last = int(time.time())


def check_backends(config: Config) -> None:
    """Raise UserError if the package of a backend of the visualizer is not installed."""
    for backend in (config.get('visualizer') or {}).get('vis_backends') or ():
        package = BACKEND_PACKAGES.get(backend.get('type'))
        if package and find_spec(package) is None:
            raise UserError(
                f'visualizer.vis_backends: {backend["type"]} needs the package {package}: pip '
                f'install "openmagvit2[optional]".'
            )


def set_wrapper(config: Config) -> None:
    """Wrap models by role, unless the config says otherwise; add the scope to the wrapper's name,
    which mmengine looks up before it knows our scope.
    """
    wrapper = config.get('model_wrapper_cfg') or dict(type='RoleDDP')
    if isinstance(wrapper['type'], str) and '.' not in wrapper['type']:
        config.model_wrapper_cfg = dict(wrapper, type=f'openmagvit2.{wrapper["type"]}')


def set_workers(config: Config) -> None:
    """Start loader workers by 'spawn' on macOS, like Python but unlike mmengine, unless the config
    sets another method.
    """
    if FORKS_CRASH:
        settings = config.get('env_cfg') or {}
        started = dict(mp_start_method='spawn') | (settings.get('mp_cfg') or {})
        config.env_cfg = dict(settings, mp_cfg=started)


def set_test(config: Config) -> None:
    """Test with the validation's data and metrics, unless the config has its own."""
    config.setdefault('test_dataloader', config.get('val_dataloader'))
    config.setdefault('test_evaluator', config.get('val_evaluator'))


def set_loaders(config: Config) -> None:
    """Stack samples to tensors, as torch does by default; mmengine's default makes lists. Without a
    sampler, read the data in order.

    Raises:
        UserError: A loader has no data set and its loop needs one, or a model of this package would
            get lists.
    """
    sampled = (config.get('test_cfg') or {}).get('type') == 'GenerationLoop'
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        loader = config.get(name)
        if not loader:
            continue
        if 'dataset' not in loader and not (sampled and name == 'test_dataloader'):
            raise UserError(f'{name} has no dataset; add one, or set {name}=None for no images.')
        loader.setdefault('collate_fn', dict(type='default_collate'))
        loader.setdefault('sampler', None)
        if _gets_lists(config.model.type, loader.collate_fn):
            raise UserError(
                f'{name}.collate_fn: pseudo_collate makes lists, and {config.model.type} needs '
                f"tensors; set dict(type='default_collate')."
            )


def _gets_lists(model: str, collate: Any) -> bool:
    """Return whether a model of this package, which needs tensors, would get lists."""
    kind = MODELS.find(model)
    ours = kind is not None and kind.__module__.startswith(f'{OWN}.')
    return ours and isinstance(collate, dict) and collate.get('type') == 'pseudo_collate'


def set_loops(config: Config) -> None:
    """Validate and test only if the config has both data and metrics; mmengine requires all three
    keys or none.
    """
    for name, loop in (('val', 'ValidationLoop'), ('test', 'TestLoop')):
        keys = [f'{name}_dataloader', f'{name}_evaluator']
        there = [key for key in keys if config.get(key)]
        if len(there) == 2:
            config[f'{name}_cfg'] = config.get(f'{name}_cfg') or dict(type=loop)
            continue
        if name == 'val':
            why = f', because there is only {there[0]}' if there else ''
            print_log(f'The training has no validation{why}.', 'current')
        for key in (*keys, f'{name}_cfg'):
            config[key] = None


def set_hooks(config: Config) -> None:
    """Write checkpoints that resume, unless the config says otherwise: mmengine's do not.

    Default hooks that are None are removed; mmengine does so only for its own six.
    """
    hooks = dict(checkpoint=dict(type='ResumableCheckpointHook')) | (
        config.get('default_hooks') or {}
    )
    config.default_hooks = {
        name: hook for name, hook in hooks.items() if hook or name in DEFAULT_HOOKS
    }


def count_once(config: Config) -> None:
    """Disable padding in evaluation samplers: by default, mmengine's repeats images until all
    processes have the same number.

    Raises:
        UserError: A sampler is infinite, like that of a training.
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
    """Return the configs of the evaluators as a list, even if there is only one."""
    return [evaluators] if isinstance(evaluators, dict) else evaluators


@contextlib.contextmanager
def settings_of_mmengine(more: Mapping[type, str] | None = None) -> Iterator[None]:
    """Raise UserError for errors in mmengine's schedules and log processor, which are due to their
    settings, such as a ``begin`` after the end of the training.

    Args:
        more: Further classes, and the keys that configure them.
    """
    configured = CONFIGURED | dict(more or {})
    try:
        yield
    except Exception as error:
        # mmengine replaces a TypeError inside a hook, where all schedulers step.
        first = error.__context__ or error
        frames = [frame for frame, _ in traceback.walk_tb(first.__traceback__)]
        within = [f for f in frames if isinstance(f.f_locals.get('self'), tuple(configured))]
        # In a method of a user's class, it is a bug.
        if not within or not within[-1].f_globals['__name__'].startswith('mmengine.'):
            raise
        kind = type(within[-1].f_locals['self'])
        key = next(key for base, key in configured.items() if issubclass(kind, base))
        raise UserError(
            f'{key}: {kind.__name__} fails with these settings: '
            f'{str(first) or type(first).__name__}; correct them.'
        ) from error


@contextlib.contextmanager
def one_size() -> Iterator[None]:
    """Raise UserError for torch's error about a batch that cannot be stacked."""
    try:
        yield
    except RuntimeError as error:
        _, found, sizes = str(error).rpartition(
            'stack expects each tensor to be equal size, but got '
        )
        # Outside the collation of a batch, it is a bug.
        if not found or 'collate' not in ''.join(traceback.format_exception(error)):
            raise
        raise UserError(
            f"Images of one batch differ in size ({sizes.strip()}); set the data set's pipeline "
            f'to Resize and a crop, or test with --size.'
        ) from error
