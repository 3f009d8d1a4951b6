"""The tools as a user calls them, in processes of their own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from openmagvit2.checkpoint import read_checkpoint

ROOT = Path(__file__).parents[2]


def run(*command: str) -> subprocess.CompletedProcess:
    environment = dict(os.environ, PATH=f'{Path(sys.executable).parent}:{os.environ["PATH"]}', PORT='29611')
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize(
    ('options', 'told'),
    [
        (['configs/lfq_256.py', '--cfg-options', 'train_dataloader.dataset.data_root=nowhere'], 'OPENMAGVIT2_DATA'),
        (['configs/tiny/lfq_32.py', '--cfg-options', 'train_cfg.max_iter=3'], 'did you mean `max_iters`'),
        (['configs/tiny/nothing.py'], 'does not exist'),
    ],
)
def test_mistakes_are_one_sentence(options, told, tmp_path):
    done = run(sys.executable, 'tools/train.py', *options, '--work-dir', str(tmp_path))
    assert done.returncode == 2
    assert told in done.stderr and 'Traceback' not in done.stderr


@pytest.mark.slow
@pytest.mark.smoke
def test_two_processes_give_a_checkpoint_for_one(tmp_path):
    done = run('bash', 'tools/dist_train.sh', 'configs/tiny/lfq_32.py', '2', '--work-dir', str(tmp_path))
    assert (tmp_path / 'iter_20.pth').is_file(), done.stderr[-2000:]
    assert not any('module' in key for key in read_checkpoint(tmp_path / 'iter_20.pth')['state_dict'])
    arguments = [str(tmp_path / 'lfq_32.py'), str(tmp_path / 'iter_20.pth')]
    one = run(sys.executable, 'tools/test.py', *arguments, '--work-dir', str(tmp_path / 'one'))
    two = run('bash', 'tools/dist_test.sh', *arguments, '2', '--work-dir', str(tmp_path / 'two'))
    values = [dict(line.split(': ') for line in out.stdout.splitlines() if line.startswith(('psnr', 'ssim', 'usage'))) for out in (one, two)]
    assert values[0].keys() >= {'psnr', 'ssim', 'usage'} and values[0].keys() == values[1].keys()
    for name in values[0]:
        assert float(values[0][name]) == pytest.approx(float(values[1][name]), rel=1e-5)


@pytest.mark.slow
@pytest.mark.smoke
@pytest.mark.parametrize('config', ['vq_32', 'fsq_32'])
def test_tiny_configs_train_and_test(config, tmp_path):
    done = run(sys.executable, 'tools/train.py', f'configs/tiny/{config}.py', '--work-dir', str(tmp_path))
    assert done.returncode == 0, done.stderr[-2000:]
    done = run(sys.executable, 'tools/test.py', str(tmp_path / f'{config}.py'), str(tmp_path / 'iter_20.pth'), '--work-dir', str(tmp_path))
    assert done.returncode == 0 and 'psnr: ' in done.stdout
