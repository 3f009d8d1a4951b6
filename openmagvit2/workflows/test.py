"""Evaluation of a checkpoint, as in ``tools/test.py``."""

import copy
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.logging import print_log
from mmengine.runner import Runner

from openmagvit2.apis.other_model import say_other_model
from openmagvit2.checkpoint import (
    TRAINING_ONLY,
    check_weights,
    choose_weights,
    load_model_weights,
    read_checkpoint,
)
from openmagvit2.checkpoint.hashing import file_hash
from openmagvit2.checkpoint.loading import CODES
from openmagvit2.checkpoint.names import fitted
from openmagvit2.engine.checks import check_datasets
from openmagvit2.engine.parallel.peers import watched
from openmagvit2.engine.record import write_record
from openmagvit2.engine.resume.run_folder import RUN, results
from openmagvit2.engine.unwrap import unwrap
from openmagvit2.errors import UserError
from openmagvit2.evaluation.metrics.base import measures_samples
from openmagvit2.evaluation.names import SHORT_NAMES
from openmagvit2.evaluation.stages import check_stages
from openmagvit2.registry import DATASETS, METRICS, MODELS, Registry
from openmagvit2.signatures import accepted
from openmagvit2.workflows.bare_model import bare_model, quiet
from openmagvit2.workflows.runner import (
    build_runner,
    count_once,
    listed,
    one_size,
    prepare,
    set_test,
)

# Keys of a training that a test does not need.
TRAINING = ('train_dataloader', 'train_cfg', 'optim_wrapper')


class TestRunner(Runner):
    """A Runner for tests, which keeps the merged config of a training in the same folder."""

    def dump_config(self) -> None:
        """Write the merged config, unless the folder has that of a training."""
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
    """Measure a checkpoint, with averaged weights if it has them, by the config's evaluators.

    Args:
        config, checkpoint: Config and checkpoint of a tokenizer or a generator.
        work_dir: Receives logs and ``metrics.json``, which records what was measured and how.
        launcher: See :func:`train`.
        metrics: Short names (``evaluation.names.SHORT_NAMES``) instead of the config's evaluators.
            An evaluator that the config has too keeps its settings, such as its protocol.
        size: Side of resize and center crop instead of the config's; 'original' measures images at
            their own sizes, one by one.
        protocol: 'official' or 'corrected', for the metrics that have both.
        pad: 'gray' or 'black': border around images whose sides the stride does not divide.

    Raises:
        UserError: A metric is unknown or for the other kind of model, its weights are not found
            (raised before anything is written), the checkpoint does not fit the config, or the
            model lacks a label.
    """
    content = read_checkpoint(checkpoint, values=False)
    given, config = config, copy.deepcopy(config)
    sampling = _configure(config, metrics, size, protocol, pad)
    prepared = prepare(config.test_evaluator)
    _check_checkpoint(config, content, f'Checkpoint {checkpoint}')
    runner = build_runner(config, work_dir, launcher, TestRunner)
    model = unwrap(runner.model)
    say_other_model(given, load_model_weights(model, checkpoint), f'Checkpoint {checkpoint}')
    check_datasets(dict(test_dataloader=runner.test_loop.dataloader), model)
    with one_size(), watched(config, None):
        values = runner.test()
    if is_main_process():
        source = dict(file=str(checkpoint), sha256=file_hash(Path(checkpoint)))
        source |= dict(averaged='ema_state_dict' in content)
        earlier = Path(runner.work_dir) / 'metrics.json'
        if earlier.is_file():
            print_log(f'{earlier} is from an earlier evaluation and is replaced.', 'current')
        samples = runner.test_loop.settings if sampling else None
        write_record(runner, values, 'test', prepared, source, size or "the config's", samples)
    return values


def _check_checkpoint(config: Config, content: dict, source: str) -> None:
    """Raise UserError if a checkpoint does not fit the model; a missing tokenizer is accepted."""
    with quiet():
        model = bare_model(config)
        state = choose_weights(fitted(content, model, source))
    check_weights(model, state, source, (*TRAINING_ONLY, 'tokenizer.', CODES))


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
            f'{config.filename} has nothing to test: set test_dataloader and test_evaluator.'
        )
    # mmengine's Runner would replace the checkpoint's weights by these.
    config.load_from, config.resume = None, False
    # mmengine requires all parts of a training or none, and a test needs none.
    if not all(config.get(key) for key in TRAINING):
        config.update(dict.fromkeys((*TRAINING, 'param_scheduler')))
    # A test does not shard the model.
    config.model_wrapper_cfg = dict(type='openmagvit2.RoleDDP')
    if metrics is not None:
        config.test_evaluator = [
            _named(name, listed(config.test_evaluator or [])) for name in metrics
        ]
    check_stages(listed(config.test_evaluator), config.model, config.filename)
    sampling = choose_loop(config)
    if size is not None:
        if sampling:
            raise UserError('--size is for metrics of a data set, but these measure samples.')
        _resize(config.test_dataloader, size)
    if pad is not None:
        _require(MODELS, config.model, 'pad_value', '--pad is for tokenizers')
        config.model.pad_value = dict(gray=0.0, black=-1.0)[pad]
    if protocol is not None:
        _set_protocol(listed(config.test_evaluator), protocol)
    return sampling


def choose_loop(config: Config) -> bool:
    """Set ``test_cfg`` to the loop that the metrics need; return whether they measure samples.

    Raises:
        UserError: Some metrics measure samples, and others a data set.
    """
    kinds = [METRICS.find(part['type']) for part in listed(config.test_evaluator)]
    samples = {measures_samples(kind) for kind in kinds}
    if len(samples) > 1:
        raise UserError(
            'Some of the metrics measure samples and others a data set; choose those of one kind '
            'with --metrics, and run the command again for the others.'
        )
    sampling = samples == {True}
    # A custom loop is kept.
    kind = (config.get('test_cfg') or {}).get('type', 'TestLoop')
    if kind == ('TestLoop' if sampling else 'GenerationLoop'):
        config.test_cfg = dict(type='GenerationLoop' if sampling else 'TestLoop')
    return sampling


def _named(name: str, evaluators: Sequence[dict]) -> dict:
    """Return the config's evaluator of a short name, or one with default settings."""
    if name not in SHORT_NAMES:
        raise UserError(f'No metric `{name}`; choose from {", ".join(SHORT_NAMES)}.')
    plain = SHORT_NAMES[name]
    return copy.deepcopy(
        next((evaluator for evaluator in evaluators if _within(plain, evaluator)), plain)
    )


def _within(part: dict, whole: dict) -> bool:
    """Return whether ``whole`` contains ``part``."""
    return all(
        _within(value, whole.get(key) or {}) if isinstance(value, dict) else whole.get(key) == value
        for key, value in part.items()
    )


def _takes(registry: Registry, built: dict, key: str) -> bool:
    """Return whether the class of a config has an argument; False for an unknown class."""
    kind = registry.find(built['type'])
    return kind is not None and key in accepted(kind)


def _require(registry: Registry, built: dict, key: str, reason: str) -> None:
    if not _takes(registry, built, key):
        raise UserError(f'{reason}; {built["type"]} has no {key}.')


def _set_protocol(evaluators: Sequence[dict], protocol: str) -> None:
    """Set the protocol of the evaluators that have more than one."""
    having = [evaluator for evaluator in evaluators if _takes(METRICS, evaluator, 'protocol')]
    if not having:
        raise UserError('--protocol is for PSNR, SSIM and rFID, but none of them is measured.')
    for evaluator in having:
        evaluator['protocol'] = protocol


def _resize(dataloader, size: int | str) -> None:
    """Replace a data loader's pipeline by a resize and crop to another size, or by none."""
    _require(DATASETS, dataloader.dataset, 'pipeline', '--size is for data sets of images')
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
            f"--size must be a positive integer (the crops are square) or 'original', got {size!r}."
        )
