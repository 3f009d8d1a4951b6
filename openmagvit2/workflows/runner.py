"""mmengine's Runner of a config, as training and testing share it."""

import contextlib
import copy
import logging
from collections.abc import Iterator, Sequence

from mmengine.config import Config, ConfigDict
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmengine.runner import Runner

from openmagvit2.engine.checks import check_schedulers
from openmagvit2.engine.numerics import set_numerics
from openmagvit2.engine.run_folder import default_folder
from openmagvit2.errors import UserError
from openmagvit2.io import make_folder
from openmagvit2.registry import METRICS


def build_runner(config: Config, work_dir: str | None = None, launcher: str = 'none') -> Runner:
    """mmengine's Runner of a config; the work directory defaults to :func:`default_folder`."""
    config = copy.deepcopy(config)
    config.work_dir = str(work_dir or config.get('work_dir') or default_folder(config))
    make_folder(config.work_dir)
    config.launcher = launcher
    set_test(config)
    count_once(config)
    # The Runner takes its seed from here, and hands it to the sampler; random transforms get the
    # same.
    config.randomness = set_numerics(config)
    config.train_dataloader.dataset.setdefault('seed', config.randomness['seed'])
    check_schedulers(config.get('param_scheduler'))
    return Runner.from_cfg(config)


def set_test(config: Config) -> None:
    """A config tests on what it validates on, unless it says otherwise; mmengine wants all three
    keys or none.
    """
    config.setdefault('test_dataloader', config.val_dataloader)
    config.setdefault('test_evaluator', config.val_evaluator)
    config.setdefault('test_cfg', dict(type='TestLoop'))


def count_once(config: Config) -> None:
    """Samplers of evaluations must not pad: mmengine's repeats images, by default, until all
    processes have as many.
    """
    for name in ('val_dataloader', 'test_dataloader'):
        sampler = config[name].get('sampler') or {}
        if str(sampler.get('type')).endswith('DefaultSampler') and sampler.get('round_up', True):
            sampler.round_up = False
            print_log(
                f'{name}.sampler.round_up is set to False: some images would count twice.',
                'current',
                logging.WARNING,
            )


def prepare(evaluators: ConfigDict | Sequence[ConfigDict]) -> list[BaseMetric]:
    """Evaluators with their networks read: what is missing is told before the first image, and
    before anything is written.
    """
    metrics = [METRICS.build(evaluator.to_dict()) for evaluator in listed(evaluators)]
    for metric in metrics:
        if hasattr(metric, 'prepare'):
            metric.prepare()
    return metrics


def listed(evaluators: ConfigDict | Sequence[ConfigDict]) -> Sequence[ConfigDict]:
    return [evaluators] if isinstance(evaluators, dict) else evaluators


@contextlib.contextmanager
def one_size() -> Iterator[None]:
    """What torch says of a batch that cannot be stacked, as the user's mistake that it is."""
    try:
        yield
    except RuntimeError as error:
        _, found, sizes = str(error).rpartition(
            'stack expects each tensor to be equal size, but got '
        )
        if not found:
            raise
        raise UserError(
            f"Images of one batch differ in size ({sizes.strip()}); set the data set's pipeline "
            f'to Resize and a crop, or test with --size.'
        ) from error
