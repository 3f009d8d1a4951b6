"""Kill trainings at random moments, resume them, and compare the ends bit for bit with the ends of
trainings that nobody stopped.

    python tests/soak.py --kills 30

A training is a process of its own, forked from a server that has loaded the package. It reports
what it begins: an iteration, a validation, a save. It is killed (SIGKILL) a random time after a
random one of these reports, or after its start. The seed fixes the reports and times; where a time
falls in the work of the process, the machine decides. After each kill every checkpoint of the
folder must be readable; a folder is resumed and killed until it has had its share of kills, then
resumed to its end.
"""

import argparse
import json
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.hooks import Hook

from openmagvit2.checkpoint import read_checkpoint
from openmagvit2.config import load_config
from openmagvit2.engine.resume.run_folder import checkpoints
from openmagvit2.errors import UserError
from openmagvit2.workflows.train import train

CONFIGS = Path(__file__).parents[1] / 'configs' / 'tiny'
# Config and loader workers.
TRAININGS = [(name, workers) for workers in (2, 0) for name in ('lfq_32', 'ar_32')]
ITERATIONS, SAVES, VALIDATIONS = 12, 3, 4
# What a kill waits for: the report, at most so many of them (a fresh training makes more), then at
# most so many seconds, about as long as what was reported takes on two slow cores.
MOMENTS = dict(
    iteration=('iteration', 8, 0.25),
    save=('save', 3, 0.18),
    # From when the half-written file is there.
    write=('save', 3, 0.04),
    validation=('validation', 2, 0.6),
    start=('start', 0, 1.5),
)
ORDER = ('write', 'iteration', 'validation', 'save', 'iteration', 'write', 'start')
KILLS_OF_A_FOLDER = 4
HALF = '.tmp-iter_*'
COMPARED = (
    'state_dict',
    'ema_state_dict',
    'optimizer',
    'param_schedulers',
    'random_states',
    'validated_iter',
)


@dataclass
class Result:
    """What happened.

    Attributes:
        kills: By what the training had last begun.
        halves: Kills that left a half-written checkpoint beside the whole ones.
        resumes: Starts in a folder with a killed training.
        unreadable: Checkpoints that could not be read after a kill.
        different: Values that are not those of the unbroken training.
    """

    kills: Counter = field(default_factory=Counter)
    halves: int = 0
    resumes: int = 0
    unreadable: list[str] = field(default_factory=list)
    different: list[str] = field(default_factory=list)
    seconds: float = 0

    def __str__(self) -> str:
        kinds = ', '.join(f'{kind} {number}' for kind, number in sorted(self.kills.items()))
        return (
            f'{self.kills.total()} kills (in {kinds}; {self.halves} left a half-written file), '
            f'{self.resumes} resumes; unreadable checkpoints: {len(self.unreadable)}; identical: '
            f'{"no" if self.different else "yes"}; {self.seconds:.0f} s'
        )


class Saves(Hook):
    """Says into a pipe that a save or a validation begins."""

    priority = 'VERY_HIGH'

    def __init__(self, pipe: Connection) -> None:
        self.pipe = pipe

    def before_save_checkpoint(self, runner, checkpoint) -> None:
        """Before the file is written."""
        self.pipe.send('save')

    def before_val_epoch(self, runner) -> None:
        """After each of which an iteration or the end follows."""
        self.pipe.send('validation')


class Iterations(Hook):
    """Says that an iteration begins."""

    def __init__(self, pipe: Connection) -> None:
        self.pipe = pipe

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        """After a save that is due."""
        self.pipe.send('iteration')


def config(name: str, workers: int) -> Config:
    """A training of seconds that saves and validates often."""
    options = {
        'train_cfg.max_iters': ITERATIONS,
        'train_cfg.val_interval': VALIDATIONS,
        'default_hooks.checkpoint.interval': SAVES,
        'train_dataloader.num_workers': workers,
        'val_dataloader.num_workers': workers,
        'val_dataloader.dataset.num_images': 64,
        'global_batch_size': 8,
        # Measuring which type is faster would make two starts differ.
        'optim_wrapper.dtype': 'float32',
    }
    return load_config(CONFIGS / f'{name}.py', options)


def _work(name: str, workers: int, folder: str, pipe: Connection) -> None:
    """A training in a process of its own, its output in a file beside the folder."""
    with open(f'{folder}.log', 'ab') as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    torch.set_num_threads(1)
    train(config(name, workers), folder, resume=True, hooks=[Saves(pipe), Iterations(pipe)])


def start(name: str, workers: int, folder: Path) -> tuple[Any, Connection]:
    """The process of a training, and its reports."""
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(['openmagvit2.workflows.train', 'openmagvit2.datasets'])
    mine, its = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(name, workers, str(folder), its))
    process.start()
    its.close()
    return process, mine


def run(name: str, workers: int, folder: Path) -> dict[str, Any]:
    """Train to the end; what the last checkpoint and the last validation's record hold."""
    process, pipe = start(name, workers, folder)
    while _next(pipe):
        pass
    process.join()
    assert process.exitcode == 0, Path(f'{folder}.log').read_text()[-3000:]
    content = read_checkpoint(folder / f'iter_{ITERATIONS}.pth')
    record = json.loads((folder / 'metrics.json').read_text())
    return {key: content[key] for key in COMPARED if key in content} | dict(
        metrics=record['metrics'], weights=record['checkpoint']['weights_sha256']
    )


def _next(pipe: Connection) -> str | None:
    """The next report; None at the end."""
    try:
        assert pipe.poll(300), 'the training hangs'
        return pipe.recv()
    except EOFError:
        return None


def kill(
    name: str, workers: int, folder: Path, moment: str, rng: np.random.Generator
) -> str | None:
    """Train, and kill at a random time; what had begun last, or None where the end came first."""
    wanted, reports, seconds = MOMENTS[moment]
    process, pipe = start(name, workers, folder)
    for _ in range(int(rng.integers(1, reports + 1)) if reports else 0):
        while (report := _next(pipe)) not in (wanted, None):
            pass
        if report is None:
            process.join()
            assert process.exitcode == 0, Path(f'{folder}.log').read_text()[-3000:]
            return None
    limit = time.time() + 1
    while moment == 'write' and not any(folder.glob(HALF)) and time.time() < limit:
        time.sleep(0.001)
    time.sleep(rng.uniform(0, seconds))
    process.kill()
    process.join()
    last = wanted
    # Loader workers, which live on for seconds, hold the pipe open.
    while pipe.poll(0) and (report := _next(pipe)):
        last = report
    return last if process.exitcode == -signal.SIGKILL else None


def soak(folder: Path, kills: int, seed: int = 0) -> Result:
    """Kill trainings in folders below ``folder``, and compare their ends."""
    result, begun, rng = Result(), time.time(), np.random.default_rng(seed)
    left, straight = [ORDER[number % len(ORDER)] for number in range(kills)][::-1], {}
    for number in range(10 * kills):
        if not left:
            break
        training = TRAININGS[number % len(TRAININGS)]
        if training not in straight:
            straight[training] = run(*training, folder / f'unbroken_{number}')
        place = folder / f'killed_{number}'
        for _ in range(min(KILLS_OF_A_FOLDER, len(left))):
            result.resumes += place.exists()
            killed_in = kill(*training, place, left[-1], rng)
            if killed_in is None:
                # The end came first; the moment is for the next folder.
                break
            left.pop()
            result.kills[killed_in] += 1
            _look(place, result)
        result.resumes += 1
        end = run(*training, place)
        _compare(straight[training], end, place.name, result)
    result.seconds = time.time() - begun
    return result


def _look(folder: Path, result: Result) -> None:
    """Whether all checkpoints of a folder can be read, and what else a kill has left."""
    for path in checkpoints(folder):
        try:
            read_checkpoint(path)
        except UserError as error:
            result.unreadable.append(str(error))
    result.halves += any(folder.glob(HALF))


def _compare(a: Any, b: Any, where: str, result: Result) -> None:
    """Note every value that differs in a bit."""
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        # As bytes: NaN is not equal to itself.
        same = a.dtype == b.dtype and a.shape == b.shape
        if not same or a.contiguous().numpy().tobytes() != b.contiguous().numpy().tobytes():
            result.different.append(where)
    elif isinstance(a, dict) and isinstance(b, dict):
        for key in a.keys() | b.keys():
            _compare(a.get(key), b.get(key), f'{where}.{key}', result)
    elif isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)) and len(a) == len(b):
        for number, pair in enumerate(zip(a, b, strict=True)):
            _compare(*pair, f'{where}.{number}', result)
    elif a != b:
        result.different.append(where)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('--kills', type=int, default=30)
    parser.add_argument('--seed', type=int, default=0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = soak(Path(folder), args.kills, args.seed)
    print(result)
    for line in (result.unreadable + result.different)[:20]:
        print(line)
    return 1 if result.unreadable or result.different else 0


if __name__ == '__main__':
    sys.exit(main())
