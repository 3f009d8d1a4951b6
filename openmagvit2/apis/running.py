"""Training and testing of a config: what ``tools/train.py`` and ``tools/test.py`` do."""

import contextlib
import copy
import inspect
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from openmagvit2.checkpoint import TRAINING_ONLY, check_weights, choose_weights, load_model_weights, read_checkpoint
from openmagvit2.checkpoint.weights import file_hash
from openmagvit2.engine.checks import check_datasets, check_schedulers
from openmagvit2.engine.hooks import ResumableCheckpointHook
from openmagvit2.engine.lock import lock
from openmagvit2.engine.numerics import set_numerics
from openmagvit2.engine.run_folder import Run, begin, default_folder, default_or_old, go_on, newest
from openmagvit2.errors import UserError
from openmagvit2.evaluation.metrics import SHORT_NAMES
from openmagvit2.evaluation.record import write_record
from openmagvit2.evaluation.stages import check_stages
from openmagvit2.folders import make_folder
from openmagvit2.registry import DATASETS, METRICS, MODELS, Registry


def build_runner(config: Config, work_dir: str | None = None, launcher: str = 'none') -> Runner:
    """mmengine's Runner of a config; the work directory defaults to :func:`default_folder`."""
    config = copy.deepcopy(config)
    config.work_dir = str(work_dir or config.get('work_dir') or default_folder(config))
    make_folder(config.work_dir)
    config.launcher = launcher
    _set_test(config)
    _count_once(config)
    # The Runner takes its seed from here, and hands it to the sampler; random transforms get the same.
    config.randomness = set_numerics(config)
    config.train_dataloader.dataset.setdefault('seed', config.randomness['seed'])
    check_schedulers(config.get('param_scheduler'))
    return Runner.from_cfg(config)


def _set_test(config: Config) -> None:
    """A config tests on what it validates on, unless it says otherwise; mmengine wants all three keys or none."""
    config.setdefault('test_dataloader', config.val_dataloader)
    config.setdefault('test_evaluator', config.val_evaluator)
    config.setdefault('test_cfg', dict(type='TestLoop'))


def _count_once(config: Config) -> None:
    """Samplers of evaluations must not pad: mmengine's repeats images, by default, until all processes have as many."""
    for name in ('val_dataloader', 'test_dataloader'):
        sampler = config[name].get('sampler') or {}
        if str(sampler.get('type')).endswith('DefaultSampler') and sampler.get('round_up', True):
            sampler.round_up = False
            print_log(f'{name}.sampler.round_up is set to False: some images would count twice.', 'current', logging.WARNING)


def _prepare(evaluators: ConfigDict | Sequence[ConfigDict]) -> list[BaseMetric]:
    """Evaluators with their networks read: what is missing is told before the first image, and before anything is written."""
    metrics = [METRICS.build(evaluator.to_dict()) for evaluator in _listed(evaluators)]
    for metric in metrics:
        if hasattr(metric, 'prepare'):
            metric.prepare()
    return metrics


def _listed(evaluators: ConfigDict | Sequence[ConfigDict]) -> Sequence[ConfigDict]:
    return [evaluators] if isinstance(evaluators, dict) else evaluators


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
        work_dir: Receives logs, the merged config, checkpoints and ``run.json``, the run's identity; default: :func:`default_folder`.
        resume: A checkpoint; a folder for the newest readable one in it; or True for that of the work directory (a fresh start
            where there is none).
        launcher: 'none', 'pytorch', or 'slurm'; the process group exists already.
        hooks: Hooks beside those of the config, as objects.

    Raises:
        UserError: A user's mistake, told in one sentence; the work directory holds another run's results, or one runs there.
        TrainingStopped: A signal came; the state is saved.
    """
    config = copy.deepcopy(config)
    # One process looks and tells the others: views of a shared file system can differ for a while.
    folder, source = _on_main(lambda: _find(config, work_dir, resume))
    content: dict = {}
    if source:
        content = read_checkpoint(source)
        if 'config' in content.get('meta', {}):
            # mmengine would execute it.
            raise UserError(f'Checkpoint {source} carries a config in `meta.config`, which is not how we write them; remove the key.')
        if not {'meta', 'optimizer'} <= content.keys():
            raise UserError(f'Checkpoint {source} holds weights only: start from them with --cfg-options load_from={source}.')
        config.resume, config.load_from = True, str(source)
    if config.get('val_evaluator'):
        check_stages(_listed(config.val_evaluator), config.model, config.filename)
        _prepare(config.val_evaluator)
    with contextlib.ExitStack() as stack:
        run = _on_main(lambda: _claim(stack, folder, config, source, content))
        content = {}
        runner = build_runner(config, str(folder), launcher)
        for hook in hooks:
            runner.register_hook(hook)
        for hook in runner.hooks:
            if isinstance(hook, ResumableCheckpointHook):
                hook.run = run
        if config.get('load_from') and '://' not in config.load_from:
            _check_start(runner, config.load_from, resume=bool(source))
        if is_main_process():
            run.write(folder)
        with _mixed_sizes_told():
            runner.train()
    return runner


def _on_main(function: Callable[[], Any]) -> Any:
    """What a function returns in the main process, in all of them; a user's mistake is raised in all."""
    answer: list = [None]
    if is_main_process():
        try:
            answer = [function()]
        except UserError as error:
            answer = [error]
    broadcast_object_list(answer)
    if isinstance(answer[0], UserError):
        raise answer[0]
    return answer[0]


def _find(config: Config, work_dir: str | None, resume: str | bool) -> tuple[Path, Path | None]:
    """The folder of a training, and the checkpoint that it goes on from."""
    folder = Path(work_dir or config.get('work_dir') or default_or_old(config, resume))
    if not resume:
        return folder, None
    if resume is not True and not Path(resume).is_dir():
        return folder, Path(resume)
    where = folder if resume is True else Path(resume)
    found = newest(where)
    if found is None and resume is not True:
        raise UserError(f'--resume {where}: there is no checkpoint iter_<number>.pth in it.')
    if found is None:
        print_log(f'Nothing to resume in {folder}: a fresh start.', 'current')
    return folder, found[0] if found else None


def _claim(stack: contextlib.ExitStack, folder: Path, config: Config, source: Path | None, content: dict) -> Run:
    """Hold the folder until the end, for the run that it is of."""
    make_folder(folder)
    stack.enter_context(lock(folder))
    return go_on(folder, config, source, content) if source else begin(folder, config)


@contextlib.contextmanager
def _mixed_sizes_told() -> Iterator[None]:
    """What torch says of a batch that cannot be stacked, as the user's mistake that it is."""
    try:
        yield
    except RuntimeError as error:
        _, found, sizes = str(error).rpartition('stack expects each tensor to be equal size, but got ')
        if not found:
            raise
        raise UserError(
            f"Images of one batch differ in size ({sizes.strip()}); set the data set's pipeline to Resize and a crop, or test with --size."
        ) from error


def _check_start(runner: Runner, path: str, resume: bool) -> None:
    """Check the weights to start from before the first image is read; averages too."""
    if not resume and Path(path).suffix == '.safetensors':
        raise UserError(f'load_from={path}: a training starts from a .pth file; tools/convert_checkpoint.py writes one from the original.')
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    content = read_checkpoint(path)
    what, optional = (f'Checkpoint {path}', ()) if resume else (f'load_from={path}', TRAINING_ONLY)
    for averaged in (False, True):
        check_weights(model, choose_weights(content, averaged), what, optional)


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
    """Metrics of a checkpoint by the config's ``test_evaluator``; averaged weights where there are any.

    Args:
        config, checkpoint: Of a tokenizer or a generator.
        work_dir: Receives logs and ``metrics.json``, which says what was measured how.
        launcher: See :func:`train`.
        metrics: Short names (``evaluation.metrics.SHORT_NAMES``) instead of all the config's evaluators; one that the config has keeps its
            settings, as a protocol or a file of weights.
        size: Side of resize and centre crop instead of the config's; 'original' measures images as they are, one by one.
        protocol: 'official' or 'corrected', for the metrics that have both.
        pad: 'gray' or 'black': border around images whose sides the stride does not divide.

    Raises:
        UserError: An unknown name; a metric of the other kind of model; weights of a metric that
            are not found (before anything is written); labels that the model does not have.
    """
    checkpoint_content = read_checkpoint(checkpoint)
    config = copy.deepcopy(config)
    _set_test(config)
    _count_once(config)
    if metrics is not None:
        config.test_evaluator = [_named(name, _listed(config.test_evaluator)) for name in metrics]
    check_stages(_listed(config.test_evaluator), config.model, config.filename)
    if size is not None:
        _resize(config.test_dataloader, size)
    if pad is not None:
        _require(MODELS, config.model, 'pad_value', '--pad goes with tokenizers')
        config.model.pad_value = dict(gray=0.0, black=-1.0)[pad]
    if protocol is not None:
        _set_protocol(_listed(config.test_evaluator), protocol)
    prepared = _prepare(config.test_evaluator)
    runner = build_runner(config, work_dir, launcher)
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    load_model_weights(model, checkpoint)
    check_datasets(dict(test_dataloader=runner.test_loop.dataloader), model)
    with _mixed_sizes_told():
        values = runner.test()
    if is_main_process():
        if (Path(runner.work_dir) / 'metrics.json').is_file():
            print_log(f'{runner.work_dir}/metrics.json was there and is written anew.', 'current')
        averaged = 'ema_state_dict' in checkpoint_content
        source = dict(file=str(checkpoint), sha256=file_hash(Path(checkpoint)), averaged=averaged)
        images, size = len(runner.test_dataloader.dataset), size or "the config's"
        write_record(
            runner.work_dir, values, config=config, stage='test', metrics=prepared, images=images, model=model, checkpoint=source, size=size
        )
    return values


def _named(name: str, evaluators: Sequence[dict]) -> dict:
    """The config's evaluator of a short name, or the plain one."""
    if name not in SHORT_NAMES:
        raise UserError(f'No metric `{name}`; choose of {", ".join(SHORT_NAMES)}.')
    plain = SHORT_NAMES[name]
    return copy.deepcopy(next((evaluator for evaluator in evaluators if _within(plain, evaluator)), plain))


def _within(part: dict, whole: dict) -> bool:
    """Whether ``whole`` has all that ``part`` says."""
    return all(_within(value, whole.get(key) or {}) if isinstance(value, dict) else whole.get(key) == value for key, value in part.items())


def _takes(registry: Registry, built: dict, key: str) -> bool:
    """Whether the class of a config has an argument; one that does not exist is told when it is built."""
    kind = registry.get(built['type'])
    return kind is not None and key in inspect.signature(kind).parameters


def _require(registry: Registry, built: dict, key: str, told: str) -> None:
    if not _takes(registry, built, key):
        raise UserError(f'{told}; {built["type"]} has no {key}.')


def _set_protocol(evaluators: Sequence[dict], protocol: str) -> None:
    """For the evaluators that have more than one."""
    having = [evaluator for evaluator in evaluators if _takes(METRICS, evaluator, 'protocol')]
    if not having:
        raise UserError('--protocol goes with PSNR, SSIM and rFID; none of them is measured here.')
    for evaluator in having:
        evaluator['protocol'] = protocol


def _resize(dataloader, size: int | str) -> None:
    """Another side for the crops of a data loader's pipeline, or none at all."""
    _require(DATASETS, dataloader.dataset, 'pipeline', '--size goes with data sets of images')
    if isinstance(size, str) and size.isdigit():
        size = int(size)
    if size == 'original':
        dataloader.dataset.pipeline, dataloader.batch_size = [], 1
    elif type(size) is int and size > 0:
        dataloader.dataset.pipeline = [dict(type='Resize', size=size), dict(type='CenterCrop', size=size)]
    else:
        raise UserError(f"--size must be one number of pixels (the crops are square) or 'original', got {size!r}.")
