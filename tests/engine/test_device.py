"""The default device, and the scripts that start several processes."""

import os
import socket
import subprocess
from pathlib import Path

import pytest
import torch

from openmagvit2.apis import init_model
from openmagvit2.engine import device

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ('name', 'rank', 'gpus', 'expected'),
    [
        ('cpu', '3', 0, 'cpu'),
        ('mps', None, 0, 'mps'),
        ('cuda', None, 8, 'cuda'),
        ('cuda', '3', 8, 'cuda:3'),
        # Each process sees only its own GPU.
        ('cuda', '3', 1, 'cuda:0'),
    ],
)
def test_the_accelerator_of_the_local_rank(name, rank, gpus, expected, monkeypatch):
    monkeypatch.setattr(device, 'get_device', lambda: name)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: gpus)
    monkeypatch.delenv('LOCAL_RANK', raising=False)
    if rank:
        monkeypatch.setenv('LOCAL_RANK', rank)
    assert device.default_device() == expected


def test_models_use_the_default_device(monkeypatch):
    # A device other than the CPU shows that the default is used.
    monkeypatch.setattr(device, 'get_device', lambda: 'meta')
    assert next(init_model('tiny/lfq_32').parameters()).device.type == 'meta'


@pytest.mark.parametrize('script', ['dist_train', 'dist_test', 'dist_sample'])
def test_scripts_start_with_the_interpreter_by_its_path(script, tmp_path):
    python = tmp_path / 'python'
    python.write_text('#!/bin/sh\necho "$@"\n')
    python.chmod(0o755)
    run = subprocess.run(
        ['bash', f'tools/{script}.sh', 'a', '2', '3'],
        env=dict(os.environ, PYTHON=str(python), PATH='/usr/bin:/bin'),
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert run.returncode == 0 and run.stdout.startswith('-m torch.distributed.run ')


def test_scripts_report_wrong_processes_and_ports():
    environment = dict(os.environ, PYTHON='echo', PATH='/usr/bin:/bin')

    def run(processes: str, port: object = 29741) -> tuple[int, str, str]:
        command = ['bash', 'tools/dist_train.sh', 'a', processes, '--resume']
        environment['PORT'] = str(port)
        done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=ROOT)
        return done.returncode, done.stdout, done.stderr

    for wrong in ('0', '-1', 'x', '--work-dir', '2.5', ''):
        code, _, error = run(wrong)
        assert code == 2 and error.startswith('error: the number of processes must be a positive')
    code, out, _ = run('2')
    assert code == 0 and '--nproc_per_node=2 tools/train.py --launcher pytorch a --resume' in out
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, _, error = run('2', port)
    assert code == 2 and error.startswith(f'error: port {port} is in use')
    assert run('2', 'x')[0] == 2


def test_several_nodes_need_an_address():
    def run(**more: str) -> subprocess.CompletedProcess:
        environment = dict(os.environ, PYTHON='echo', NNODES='4', **more)
        command = ['bash', 'tools/dist_train.sh', 'a', '8']
        return subprocess.run(command, env=environment, capture_output=True, text=True, cwd=ROOT)

    alone = run()
    assert alone.returncode == 2 and alone.stderr.startswith('error: NNODES=4: set MASTER_ADDR to')
    assert '--nnodes=4' in run(MASTER_ADDR='node0').stdout


@pytest.mark.parametrize(
    ('given', 'words'),
    [
        ({}, '--gres=gpu:8 --ntasks=8 --ntasks-per-node=8'),
        (dict(GPUS='32'), '--gres=gpu:8 --ntasks=32 --ntasks-per-node=8'),
        (dict(GPUS='2'), '--gres=gpu:2 --ntasks=2 --ntasks-per-node=2'),
        (dict(GPUS='8', GPUS_PER_NODE='4'), '--gres=gpu:4 --ntasks=8 --ntasks-per-node=4'),
    ],
)
def test_slurm_starts_one_process_per_gpu(tmp_path, given, words):
    srun = tmp_path / 'srun'
    srun.write_text('#!/bin/sh\necho "$@"\n')
    srun.chmod(0o755)
    for script, arguments in (('train', 'a.py'), ('test', 'a.py b.pth')):
        run = subprocess.run(
            ['bash', f'tools/slurm_{script}.sh', 'long', 'name', *arguments.split(), '--x', '1'],
            env=dict(os.environ, PATH=f'{tmp_path}:/usr/bin:/bin', **given),
            capture_output=True,
            text=True,
            cwd=ROOT,
        )
        assert f' {words} ' in run.stdout
        assert run.stdout.endswith(f'tools/{script}.py {arguments} --x 1 --launcher slurm\n')
