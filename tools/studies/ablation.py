"""Train and test several configs with several seeds each; what an earlier start has finished is not
repeated.
"""

import json
import os
import signal
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from openmagvit2.apis import Generator, init_model
from openmagvit2.config import load_config
from openmagvit2.errors import UserError
from openmagvit2.io import write_text
from openmagvit2.registry import DATASETS
from openmagvit2.workflows.test import test
from openmagvit2.workflows.train import train
from quickstart_lib.judge import accuracy, diversity, train_judge
from quickstart_lib.report import read_scalars
from studies.memory import StepMemoryHook


def run_all(
    configs: Sequence[Path],
    seeds: Sequence[int],
    work_dir: Path,
    jobs: int = 1,
    tokenizer: Path | None = None,
    judge: bool = False,
    options: dict | None = None,
) -> list[dict]:
    """Run every config with every seed.

    Args:
        configs: Config files; their names become the names of the rows.
        seeds: Values of the config key ``seed``.
        work_dir: Receives ``<config>/seed_<n>/`` with logs, checkpoints and ``result.json``.
        jobs: Trainings at a time, each on its share of the CPU cores.
        tokenizer: Config of a tokenizer to train first, with seed 0; all configs get its checkpoint
            as ``model.tokenizer.checkpoint``.
        judge: Also sample 20 images of each Fashion-MNIST class and classify them with a network
            trained on real images.
        options: Overrides for every config, by dotted path.

    Returns:
        One dict for each run: config, seed, parameters, iterations, seconds_per_iteration, and the
            test metrics.
    """
    options = dict(options or {})
    threads = max(torch.get_num_threads() // jobs, 1)
    if tokenizer is not None:
        first = run_one(tokenizer, 0, work_dir, {}, False)
        options['model.tokenizer.checkpoint'] = first['checkpoint']
    if judge:
        _judge(work_dir)
    # Seeds in the outer loop: an interrupted study then has whole ladders for the first seeds.
    tasks = [(config, seed, work_dir, options, judge) for seed in seeds for config in configs]
    # One process for each training: mmengine keeps global state, and a fresh process is what a user
    # would start.
    context = get_context('spawn')
    with ProcessPoolExecutor(jobs, context, _begin, (threads,), max_tasks_per_child=1) as pool:
        return _run_some_at_a_time(pool, jobs, tasks)


def _begin(threads: int) -> None:
    """Set up a training's process: outside of the training itself, the parent handles Ctrl-C."""
    signal.signal(signal.SIGINT, lambda *_: os._exit(128 + signal.SIGINT))
    torch.set_num_threads(threads)


def _run_some_at_a_time(pool: Executor, jobs: int, tasks: Sequence[tuple]) -> list[dict]:
    """Submit a task only when another one is done, because a process pool starts all the tasks that
    it has, even after Ctrl-C.
    """
    running: set[Future] = set()
    results: list[dict] = []
    left = iter(tasks)
    with tqdm(desc='runs', total=len(tasks), mininterval=0) as bar:
        while len(results) < len(tasks):
            running |= {pool.submit(run_one, *task) for task in islice(left, jobs - len(running))}
            done, running = wait(running, return_when=FIRST_COMPLETED)
            results += [future.result() for future in done]
            bar.update(len(done))
    return results


def run_one(path: Path, seed: int, work_dir: Path, options: dict, judge: bool) -> dict:
    """Run one training and its test; keep the result in ``result.json``."""
    folder = work_dir / path.stem / f'seed_{seed}'
    config = load_config(path, dict(options, seed=seed))
    settings = json.loads(
        json.dumps(
            dict(options=options, judge=judge, iterations=config.train_cfg.max_iters), default=str
        )
    )
    kept = folder / 'result.json'
    if kept.is_file():
        result = json.loads(kept.read_text())
        if result['settings'] != settings:
            raise UserError(
                f'{folder} holds a run with other settings ({result["settings"]}); choose another '
                f'--work-dir.'
            )
        return result
    config.log_level = 'WARNING'
    config.custom_hooks = [*config.get('custom_hooks', []), dict(type=StepMemoryHook.__name__)]
    train(config, str(folder), resume=True)
    checkpoint = folder / f'iter_{config.train_cfg.max_iters}.pth'
    steps = [scalars for scalars in read_scalars(folder) if 'step_megabytes' in scalars]
    result = dict(
        config=path.stem,
        seed=seed,
        settings=settings,
        checkpoint=str(checkpoint),
        parameters=trained_parameters(path, options),
        iterations=config.train_cfg.max_iters,
        seconds_per_iteration=statistics.median(
            s['time'] for s in steps if 'time' in s and 'loss' in s
        ),
        metrics=test(config, str(checkpoint), str(folder))
        | dict(step_megabytes=steps[-1]['step_megabytes']),
    )
    if judge:
        result['metrics'] |= _judged(config, checkpoint, work_dir, seed)
    write_text(kept, json.dumps(result, indent=2) + '\n')
    return result


def trained_parameters(path: Path, options: dict | None = None) -> int:
    """Count the parameters that the optimizers of a config train, without the discriminator's; no
    memory is allocated for them.
    """
    with torch.device('meta'):
        roles = init_model(path, cfg_options=options, device='meta').roles()
    return sum(
        p.numel()
        for name, role in roles.items()
        if name != 'discriminator'
        for p in role.parameters()
        if p.requires_grad
    )


def _judge(work_dir: Path) -> torch.nn.Module:
    real = DATASETS.build(dict(type='FashionMNIST', split='train'))
    work_dir.mkdir(parents=True, exist_ok=True)
    return train_judge(
        np.repeat(real.images[..., None], 3, -1), real.labels, work_dir / 'judge.pth'
    )


def _judged(config, checkpoint: Path, work_dir: Path, seed: int) -> dict[str, float]:
    """Classify 20 samples of each class, cropped to the 28 pixels of the originals; return their
    accuracy, their diversity and the seconds per sample.
    """
    labels = np.repeat(np.arange(10), 20)
    generator = Generator.from_config(config, checkpoint)
    generator.sample(labels[:1])  # keeps the cost of a first call out of the measurement
    start = time.perf_counter()
    samples = generator.sample(labels, seed=seed)
    seconds = (time.perf_counter() - start) / len(labels)
    margin = (samples.shape[1] - 28) // 2
    samples = samples[:, margin : margin + 28, margin : margin + 28]
    real = DATASETS.build(dict(type='FashionMNIST', split='test'))
    images = np.repeat(real.images[..., None], 3, -1)
    judge = _judge(work_dir)
    return dict(
        judge_accuracy=accuracy(judge, samples, labels),
        diversity=diversity(samples, labels, images, real.labels),
        seconds_per_image=seconds,
    )
