"""The tools in separate processes, as a user runs them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from openmagvit2.checkpoint import read_checkpoint

ROOT = Path(__file__).parents[2]


def run(*command: str) -> subprocess.CompletedProcess:
    environment = dict(
        os.environ, PATH=f'{Path(sys.executable).parent}:{os.environ["PATH"]}', PORT='29611'
    )
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300
    )


MISTAKES = [
    (
        ['configs/lfq_256.py', '--cfg-options', 'train_dataloader.dataset.data_root=nowhere'],
        'OPENMAGVIT2_DATA',
    ),
    (
        ['configs/tiny/lfq_32.py', '--cfg-options', 'train_cfg.max_iter=3'],
        'did you mean `max_iters`',
    ),
    (['configs/tiny/nothing.py'], 'does not exist'),
]


@pytest.mark.parametrize(('options', 'message'), MISTAKES)
def test_mistakes_are_one_sentence(options, message, tmp_path, monkeypatch, tool):
    monkeypatch.chdir(ROOT)
    code, _, errors = tool('train', *options, '--work-dir', tmp_path)
    (line,) = errors.splitlines()[-1:]
    assert code == 2 and line.startswith('error: ') and message in line


def test_a_process_ends_with_the_sentence(tmp_path):
    options, message = MISTAKES[-1]
    done = run(sys.executable, 'tools/train.py', *options, '--work-dir', str(tmp_path))
    assert done.returncode == 2
    assert message in done.stderr and 'Traceback' not in done.stderr


@pytest.mark.slow
@pytest.mark.smoke
def test_two_processes_give_a_checkpoint_for_one(tmp_path):
    done = run(
        'bash', 'tools/dist_train.sh', 'configs/tiny/lfq_32.py', '2', '--work-dir', str(tmp_path)
    )
    assert (tmp_path / 'iter_20.pth').is_file(), done.stderr[-2000:]
    assert not any(
        'module' in key for key in read_checkpoint(tmp_path / 'iter_20.pth')['state_dict']
    )
    arguments = [str(tmp_path / 'lfq_32.py'), str(tmp_path / 'iter_20.pth')]
    one = run(sys.executable, 'tools/test.py', *arguments, '--work-dir', str(tmp_path / 'one'))
    two = run('bash', 'tools/dist_test.sh', *arguments, '2', '--work-dir', str(tmp_path / 'two'))
    values = [
        dict(
            line.split(': ')
            for line in out.stdout.splitlines()
            if line.startswith(('psnr', 'ssim', 'usage'))
        )
        for out in (one, two)
    ]
    assert values[0].keys() >= {'psnr', 'ssim', 'usage'} and values[0].keys() == values[1].keys()
    for name in values[0]:
        assert float(values[0][name]) == pytest.approx(float(values[1][name]), rel=1e-5)


@pytest.mark.slow
@pytest.mark.smoke
def test_quickstart_then_sample_and_reconstruct(tmp_path):
    start = [
        sys.executable,
        'tools/quickstart.py',
        '--minutes',
        '0.05',
        '--work-dir',
        str(tmp_path),
    ]
    done = run(*start)
    assert done.returncode == 0, done.stderr[-2000:]
    metrics = json.loads((tmp_path / 'metrics.json').read_text())
    assert 5 < metrics['psnr'] < 30 and metrics['judge_accuracy_on_real'] > 0.8
    assert (metrics['tokens_per_image'], metrics['bits_per_token']) == (49, 9.97)
    assert '<img' in (tmp_path / 'report.html').read_text()
    again = run(*start)
    assert again.returncode == 0 and 'tokenizer: finished before' in again.stdout
    assert 'minutes in all' in done.stdout and 'minutes in all' not in again.stdout
    repeated = json.loads((tmp_path / 'metrics.json').read_text())
    changing = {'seconds', 'compute_type'}
    assert {k: v for k, v in repeated.items() if k not in changing} == {
        k: v for k, v in metrics.items() if k not in changing
    }
    other = run(*start[:3], '7', *start[4:])
    assert other.returncode == 2 and 'contains a run of --minutes 0.05' in other.stderr
    _check_grids(tmp_path)
    _check_npz(tmp_path)
    _check_reconstructions(tmp_path)


def _check_grids(tmp_path: Path) -> None:
    (checkpoint,) = (tmp_path / 'generator').glob('iter_*.pth')
    for out, batch in (('a', '1'), ('b', '5')):
        arguments = [
            'configs/quickstart/ar_28.py',
            str(checkpoint),
            '--labels',
            '1,8',
            '--num',
            '3',
            '--batch-size',
            batch,
        ]
        arguments += ['--guidance', '2', '1']
        done = run(sys.executable, 'tools/sample.py', *arguments, '--out-dir', str(tmp_path / out))
        assert done.returncode == 0, done.stderr[-2000:]
    assert len(list((tmp_path / 'a').rglob('0*.png'))) == 6
    assert (tmp_path / 'a' / 'grid.png').read_bytes() == (tmp_path / 'b' / 'grid.png').read_bytes()


def _check_npz(tmp_path: Path) -> None:
    (checkpoint,) = (tmp_path / 'generator').glob('iter_*.pth')
    npz = ['configs/quickstart/ar_28.py', str(checkpoint), '--labels', '1,8']
    npz += ['--num-per-class', '4']
    done = run(
        sys.executable,
        'tools/sample.py',
        *npz,
        '--batch-size',
        '7',
        '--npz',
        str(tmp_path / 'one.npz'),
    )
    assert done.returncode == 0, done.stderr[-2000:]
    done = run(
        'bash', 'tools/dist_sample.sh', *npz[:2], '2', *npz[2:], '--npz', str(tmp_path / 'two.npz')
    )
    assert done.returncode == 0, done.stderr[-2000:]
    with np.load(tmp_path / 'one.npz') as one, np.load(tmp_path / 'two.npz') as two:
        assert one['arr_0'].shape == (8, 28, 28, 3) and one['arr_1'].tolist() == [1] * 4 + [8] * 4
        assert np.array_equal(one['arr_1'], two['arr_1'])
        assert np.abs(one['arr_0'].astype(int) - two['arr_0']).max() <= 1
    done = run(sys.executable, 'tools/sample.py', *npz, '--npz', str(tmp_path / 'one.npz'))
    assert done.returncode == 2 and 'one.npz exists' in done.stderr


def _check_reconstructions(tmp_path: Path) -> None:
    (checkpoint,) = (tmp_path / 'tokenizer').glob('iter_*.pth')
    arguments = [
        'configs/quickstart/fsq_28.py',
        str(checkpoint),
        '--out-dir',
        str(tmp_path / 'out'),
    ]
    done = run(
        sys.executable,
        'tools/reconstruct.py',
        *arguments,
        str(tmp_path / 'a' / 'class_0001'),
        str(tmp_path / 'a' / 'grid.png'),
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(list((tmp_path / 'out').glob('*.png'))) == 5
    done = run(sys.executable, 'tools/reconstruct.py', *arguments, 'nothing.png')
    assert done.returncode == 2 and 'nothing.png does not exist' in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize('config', ['vq_32', 'fsq_32'])
def test_tiny_configs_train_and_test(config, tmp_path):
    done = run(
        sys.executable, 'tools/train.py', f'configs/tiny/{config}.py', '--work-dir', str(tmp_path)
    )
    assert done.returncode == 0, done.stderr[-2000:]
    done = run(
        sys.executable,
        'tools/test.py',
        str(tmp_path / f'{config}.py'),
        str(tmp_path / 'iter_20.pth'),
        '--work-dir',
        str(tmp_path),
    )
    assert done.returncode == 0 and 'psnr: ' in done.stdout
