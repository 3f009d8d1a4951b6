"""Token caches of killed runs and of several processes have the same bytes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_tokens import PHOTOS

from openmagvit2.datasets import TokenCache

ROOT = Path(__file__).parents[2]
TINY = ROOT / 'configs' / 'tiny'


@pytest.mark.slow
@pytest.mark.parametrize(
    ('number', 'workers'),
    [pytest.param(signal.SIGKILL, 0, marks=pytest.mark.smoke), (signal.SIGINT, 2)],
    ids=['killed', 'Ctrl-C'],
)
def test_a_killed_run_ends_with_the_same_bytes(checkpoint, tmp_path, number, workers):
    command = [sys.executable, '-c', KILLED, str(TINY / 'lfq_32.py'), str(checkpoint)]
    environment = dict(os.environ, OMP_NUM_THREADS='1')
    subprocess.run(
        [*command, str(tmp_path / 'whole')], env=environment, cwd=ROOT, check=True, timeout=200
    )
    process = subprocess.Popen(
        [*command, str(tmp_path / 'killed'), str(workers)], env=environment, cwd=ROOT
    )
    deadline = time.time() + 120
    while len(list((tmp_path / 'killed').glob('.block-*'))) < 3 and time.time() < deadline:
        time.sleep(0.01)
    process.send_signal(number)
    assert process.wait(60) == -number
    assert not json.loads((tmp_path / 'killed' / 'header.json').read_text())['finished']
    with pytest.raises(ValueError, match='is not finished'):
        TokenCache(data_root=str(tmp_path / 'killed'))
    subprocess.run(
        [*command, str(tmp_path / 'killed')], env=environment, cwd=ROOT, check=True, timeout=200
    )
    for name in ('tokens.bin', 'labels.npy', 'header.json'):
        assert (tmp_path / 'whole' / name).read_bytes() == (
            tmp_path / 'killed' / name
        ).read_bytes(), name
    assert not list((tmp_path / 'killed').glob('.block-*'))
    assert len(np.unique(np.fromfile(tmp_path / 'whole' / 'tokens.bin', np.uint8))) > 10


@pytest.mark.slow
def test_two_processes_write_the_same_bytes(checkpoint, tmp_path):
    folder = tmp_path / 'images'
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(31):
        Image.fromarray(rng.integers(0, 256, (40 + i, 50, 3), dtype=np.uint8)).save(
            folder / f'{i:02d}.png'
        )
    (folder / '07.png').write_bytes((folder / '07.png').read_bytes()[:300])
    config = tmp_path / 'photos.py'
    config.write_text(PHOTOS.format(base=TINY / 'lfq_32.py', folder=folder))
    options = ['--crops', 'ten', '--batch-size', '4', '--out']
    tool = ['tools/tokenize_dataset.py', str(config), str(checkpoint), *options]
    environment = dict(os.environ, OMP_NUM_THREADS='1', PYTHONPATH=str(ROOT))
    start = [sys.executable, '-m', 'torch.distributed.run', '--nproc_per_node=2']
    two = [*start, '--master_port=29613', *tool, str(tmp_path / 'two')]
    for command in (
        [sys.executable, *tool, str(tmp_path / 'one')],
        [*two, '--launcher', 'pytorch'],
    ):
        done = subprocess.run(
            command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=200
        )
        assert done.returncode == 0, done.stderr[-2000:]
        assert '30 images x 10 views x 8x8 tokens (uint8)' in done.stdout
        assert 'leaves out 1 of 31 images' in done.stdout + done.stderr
    for name in ('tokens.bin', 'labels.npy', 'header.json'):
        assert (tmp_path / 'one' / name).read_bytes() == (tmp_path / 'two' / name).read_bytes(), (
            name
        )
    # Every process reports the error, and none waits for another.
    done = subprocess.run(
        [*two, '--flip', '--launcher', 'pytorch'],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode != 0 and 'holds tokens with other settings (recipe)' in done.stderr


KILLED = """
import sys
from openmagvit2.workflows.tokenize import tokenize
from openmagvit2.config import load_config
workers = int(sys.argv[4]) if len(sys.argv) > 4 else 0
config = load_config(sys.argv[1])
tokenize(config, sys.argv[2], sys.argv[3], batch_size=4, num_workers=workers, block=8)
"""
