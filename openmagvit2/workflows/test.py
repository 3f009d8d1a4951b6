"""Measure a checkpoint: what ``tools/test.py`` does."""

import copy
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.logging import print_log
from mmengine.runner import Runner

from openmagvit2.apis.other_model import say_other_model
from openmagvit2.checkpoint import load_model_weights, read_checkpoint
from openmagvit2.checkpoint.hashing import file_hash
from openmagvit2.engine.checks import check_datasets
from openmagvit2.engine.parallel.peers import watched
from openmagvit2.engine.resume.run_folder import RUN, results
from openmagvit2.engine.unwrap import unwrap
from openmagvit2.errors import UserError
from openmagvit2.evaluation.metrics.base import measures_samples
from openmagvit2.evaluation.names import SHORT_NAMES
from openmagvit2.evaluation.record import write_record
from openmagvit2.evaluation.stages import check_stages
from openmagvit2.registry import DATASETS, METRICS, MODELS, Registry
from openmagvit2.signatures import accepted
from openmagvit2.workflows.runner import (
    build_runner,
    count_once,
    listed,
    one_size,
    prepare,
    set_test,
)

# What a training has, and no test needs.
TRAINING = ('train_dataloader', 'train_cfg', 'optim_wrapper')


class TestRunner(Runner):
    """A Runner that measures; the merged config of a training in its folder stays as it is."""

    def dump_config(self) -> None:
        """Write the merged config where no training has."""
        if not (Path(self.work_dir, RUN).is_file() or results(self.work_dir)):
            super().dump_config()


def test(
    config: Config,
    checkpoint: str,
    work_dir: str | None = None,
    launcher: str = 'none',
    metrics: Sequence[str] | None = None,
    size: int | str | None = None,
    protocol: str | None = None,
    pad: str | None = None,
) -> dict[str, float]:
    """Measure a checkpoint, with its averaged weights if any, by the config's evaluators.

    Args:
        config, checkpoint: Config and checkpoint of a tokenizer or a generator.
        work_dir: Receives logs and ``metrics.json``, which says what was measured how.
        launcher: See :func:`train`.
        metrics: Short names (``evaluation.names.SHORT_NAMES``) instead of all the config's
            evaluators; one that the config has keeps its settings, as a protocol or a file of
            weights.
        size: Side of resize and centre crop instead of the config's; 'original' measures images as
            they are, one by one.
        protocol: 'official' or 'corrected', for the metrics that have both.
        pad: 'gray' or 'black': border around images whose sides the stride does not divide.

    Raises:
        UserError: An unknown name; a metric of the other kind of model; weights of a metric that
            are not found (before anything is written); labels that the model does not have.
    """
    averaged = 'ema_state_dict' in read_checkpoint(checkpoint, values=False)
    given, config = config, copy.deepcopy(config)
    sampling = _configure(config, metrics, size, protocol, pad)
    prepared = prepare(config.test_evaluator)
    runner = build_runner(config, work_dir, launcher, TestRunner)
    model = unwrap(runner.model)
    say_other_model(given, load_model_weights(model, checkpoint), f'Checkpoint {checkpoint}')
    check_datasets(dict(test_dataloader=runner.test_loop.dataloader), model)
    with one_size(), watched(config, None):
        values = runner.test()
    if is_main_process():
        earlier = Path(runner.work_dir) / 'metrics.json'
        if earlier.is_file():
            print_log(f'{earlier} is of an earlier evaluation and is replaced.', 'current')
        source = dict(file=str(checkpoint), sha256=file_hash(Path(checkpoint)), averaged=averaged)
        record = dict(config=config, stage='test', metrics=prepared, model=model)
        record |= dict(checkpoint=source, size=size or "the config's")
        record |= dict(images=len(runner.test_dataloader.dataset))
        record |= dict(samples=runner.test_loop.settings if sampling else None)
        write_record(runner.work_dir, values, **record)
    return values


def _configure(
    config: Config,
    metrics: Sequence[str] | None,
    size: int | str | None,
    protocol: str | None,
    pad: str | None,
) -> bool:
    """Apply the arguments of :func:`test` to a config; return whether it measures samples."""
    set_test(config)
    count_once(config)
    if not config.get('model'):
        raise UserError(f'{config.filename} has no model.')
    if not config.test_dataloader or not (config.test_evaluator or metrics):
        raise UserError(
            f'{config.filename} has nothing to test: give test_dataloader and test_evaluator.'
        )
    # mmengine's Runner would put these weights in the place of the checkpoint's.
    config.load_from, config.resume = None, False
    # mmengine wants all parts of a training or none, and a test needs none.
    if not all(config.get(key) for key in TRAINING):
        config.update(dict.fromkeys((*TRAINING, 'param_scheduler')))
    # A test needs no shards.
    config.model_wrapper_cfg = dict(type='openmagvit2.RoleDDP')
    if metrics is not None:
        config.test_evaluator = [
            _named(name, listed(config.test_evaluator or [])) for name in metrics
        ]
    check_stages(listed(config.test_evaluator), config.model, config.filename)
    sampling = choose_loop(config)
    if size is not None:
        if sampling:
            raise UserError('--size goes with metrics of a data set; these are of samples.')
        _resize(config.test_dataloader, size)
    if pad is not None:
        _require(MODELS, config.model, 'pad_value', '--pad goes with tokenizers')
        config.model.pad_value = dict(gray=0.0, black=-1.0)[pad]
    if protocol is not None:
        _set_protocol(listed(config.test_evaluator), protocol)
    return sampling


def choose_loop(config: Config) -> bool:
    """Set ``test_cfg`` to the loop that the metrics need; whether they measure samples.

    Raises:
        UserError: Some measure samples, others a data set.
    """
    kinds = [METRICS.find(part['type']) for part in listed(config.test_evaluator)]
    samples = {measures_samples(kind) for kind in kinds}
    if len(samples) > 1:
        raise UserError(
            'Some of the metrics measure samples and others a data set; name one kind with '
            '--metrics, and call it again for the other.'
        )
    sampling = samples == {True}
    # A loop of the user's own stays.
    kind = (config.get('test_cfg') or {}).get('type', 'TestLoop')
    if kind == ('TestLoop' if sampling else 'GenerationLoop'):
        config.test_cfg = dict(type='GenerationLoop' if sampling else 'TestLoop')
    return sampling


def _named(name: str, evaluators: Sequence[dict]) -> dict:
    """Return the config's evaluator of a short name, or the plain one."""
    if name not in SHORT_NAMES:
        raise UserError(f'No metric `{name}`; choose from {", ".join(SHORT_NAMES)}.')
    plain = SHORT_NAMES[name]
    return copy.deepcopy(
        next((evaluator for evaluator in evaluators if _within(plain, evaluator)), plain)
    )


def _within(part: dict, whole: dict) -> bool:
    """Return whether ``whole`` has all that ``part`` says."""
    return all(
        _within(value, whole.get(key) or {}) if isinstance(value, dict) else whole.get(key) == value
        for key, value in part.items()
    )


def _takes(registry: Registry, built: dict, key: str) -> bool:
    """Return whether the class of a config has an argument; building reports an unknown class."""
    kind = registry.find(built['type'])
    return kind is not None and key in accepted(kind)


def _require(registry: Registry, built: dict, key: str, reason: str) -> None:
    if not _takes(registry, built, key):
        raise UserError(f'{reason}; {built["type"]} has no {key}.')


def _set_protocol(evaluators: Sequence[dict], protocol: str) -> None:
    """Set the protocol of the evaluators that have more than one."""
    having = [evaluator for evaluator in evaluators if _takes(METRICS, evaluator, 'protocol')]
    if not having:
        raise UserError('--protocol goes with PSNR, SSIM and rFID; none of them is measured here.')
    for evaluator in having:
        evaluator['protocol'] = protocol


def _resize(dataloader, size: int | str) -> None:
    """Set another side for the crops of a data loader's pipeline, or none at all."""
    _require(DATASETS, dataloader.dataset, 'pipeline', '--size goes with data sets of images')
    if isinstance(size, str) and size.isdecimal():
        size = int(size)
    if size == 'original':
        dataloader.dataset.pipeline, dataloader.batch_size = [], 1
    elif type(size) is int and size > 0:
        dataloader.dataset.pipeline = [
            dict(type='Resize', size=size),
            dict(type='CenterCrop', size=size),
        ]
    else:
        raise UserError(
            f"--size must be one number of pixels (the crops are square) or 'original', got "
            f'{size!r}.'
        )
