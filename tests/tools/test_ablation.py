"""Several trainings in separate processes, and Ctrl-C."""

import os
import pickle
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from openmagvit2.errors import TrainingStopped
from studies import ablation, as_markdown, summarize


class Pool(ThreadPoolExecutor):
    """Threads instead of processes; counts submitted tasks that are not done."""

    waiting: list[int] = []

    def __init__(self, jobs, *args, **kwargs):
        super().__init__(jobs)
        self.futures = []

    def submit(self, *task):
        self.futures.append(super().submit(*task))
        self.waiting.append(sum(not future.done() for future in self.futures))
        return self.futures[-1]


@pytest.fixture
def runs(monkeypatch):
    """Return the names of the runs that begin; that called 'stopped' raises KeyboardInterrupt."""
    begun = []

    def run_one(path, seed, *settings):
        begun.append(f'{path} {seed}')
        time.sleep(0.05)
        if path == 'stopped':
            raise KeyboardInterrupt
        return dict(config=path, seed=seed)

    monkeypatch.setattr(ablation, 'ProcessPoolExecutor', Pool)
    monkeypatch.setattr(ablation, 'run_one', run_one)
    monkeypatch.setattr(Pool, 'waiting', [])
    return begun


@pytest.mark.parametrize('jobs', [1, 2])
def test_all_runs_are_made_a_few_at_a_time(runs, tmp_path, jobs):
    results = ablation.run_all(['a', 'b'], [0, 1, 2], tmp_path, jobs)
    assert sorted((r['seed'], r['config']) for r in results) == [
        (seed, config) for seed in range(3) for config in 'ab'
    ]
    # A process pool starts submitted tasks even after a stop.
    assert max(Pool.waiting) == jobs


def test_nothing_begins_after_a_stop(runs, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        ablation.run_all(['a', 'stopped', 'b'], [0, 1], tmp_path)
    assert runs == ['a 0', 'stopped 0']


def test_a_stop_comes_back_from_another_process():
    again = pickle.loads(pickle.dumps(TrainingStopped(7, 2)))
    assert (again.iteration, again.signal_number, str(again)) == (7, 2, 'stopped after iteration 7')


@pytest.mark.parametrize('values, text', [([20.0], '20'), ([20.0, 22.0], '21 ± 1.4')])
def test_one_seed_has_no_spread(values, text):
    runs = [
        dict(
            config='a',
            parameters=1,
            iterations=1,
            seconds_per_iteration=1.0,
            metrics=dict(psnr=value),
        )
        for value in values
    ]
    assert as_markdown(summarize(runs)).splitlines()[-1].endswith(f'| {len(runs)} | {text} |')


def test_ctrl_c_is_left_to_the_parent():
    code = 'import os, signal\nfrom studies.ablation import _begin\n_begin(1)\n'
    code += 'os.kill(os.getpid(), signal.SIGINT)\nwhile True: pass'
    tools = Path(__file__).parents[2] / 'tools'
    done = subprocess.run(
        [sys.executable, '-c', code],
        env=os.environ | dict(PYTHONPATH=f'{tools}{os.pathsep}{tools.parent}'),
        capture_output=True,
        text=True,
        timeout=60,
    )
    # Some versions of torch and mmengine warn on import.
    assert done.returncode == 130 and 'Traceback' not in done.stderr
