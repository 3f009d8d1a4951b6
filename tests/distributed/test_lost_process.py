"""If one process is killed, the other ends with one sentence, and the training can resume."""

import os
import signal
import socket
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
import torch.distributed as dist
import torch.multiprocessing as mp
from mmengine.config import Config

from openmagvit2.apis import init_model
from openmagvit2.checkpoint import read_checkpoint, write_checkpoint
from openmagvit2.engine.parallel.peers import is_lost, watched
from openmagvit2.engine.stop import StopRequest
from openmagvit2.errors import UserError
from openmagvit2.io.process import alive

ROOT = Path(__file__).parents[2]
MESSAGE = 'Another process of this training has ended or does not answer'
# Dropout, so that the random state of each process counts.
OPTIONS = (
    'train_cfg.max_iters=30',
    'train_cfg.val_interval=30',
    'val_dataloader.dataset.num_images=10',
    'default_hooks.checkpoint.interval=5',
    'model.backbone.dropout=0.1',
    'optim_wrapper.dtype=float32',
)


def start(folder: Path, processes: int, *arguments: str) -> list[subprocess.Popen]:
    """Start a training in several processes."""
    command = ['tools/train.py', 'configs/tiny/ar_32.py', '--work-dir', str(folder), *arguments]
    return run(processes, *command, '--cfg-options', *OPTIONS)


def run(processes: int, *arguments: str) -> list[subprocess.Popen]:
    """Start a tool in several processes like torchrun, but without its supervision."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = str(free.getsockname()[1])
    launcher = ['--launcher', 'pytorch'] if processes > 1 else []
    tool, *others = arguments
    command = [sys.executable, tool, *launcher, *others]
    environment = dict(os.environ, MASTER_ADDR='127.0.0.1', MASTER_PORT=port, OMP_NUM_THREADS='1')
    environment['WORLD_SIZE'] = str(processes)
    return [
        subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment | dict(RANK=str(rank), LOCAL_RANK=str(rank)),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(processes)
    ]


def finish(processes: list[subprocess.Popen]) -> list[str]:
    outputs = [process.communicate(timeout=180)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes), outputs[0][-2000:]
    return outputs


@pytest.mark.slow
@pytest.mark.smoke
def test_one_killed_and_resumed_by_two_and_by_one(tmp_path):
    finish(start(tmp_path / 'unbroken', 2))
    folder = tmp_path / 'broken'
    first, second = start(folder, 2)
    while not (folder / 'iter_5.pth').exists():
        assert first.poll() is None and second.poll() is None
        time.sleep(0.005)
    second.kill()
    begin = time.monotonic()
    output = first.communicate(timeout=60)[0]
    assert time.monotonic() - begin < 60 and first.returncode == 2
    assert f'error: {MESSAGE}' in output and '--resume' in output and 'Traceback' not in output
    second.communicate()
    # Only checkpoints that all processes wrote together.
    names = {path.name for path in folder.glob('iter_*.pth')}
    assert names and all(int(name[5:-4]) % 5 == 0 and int(name[5:-4]) < 30 for name in names)
    newest = max(folder.glob('iter_*.pth'), key=lambda path: int(path.stem[5:]))
    (alone,) = finish(start(tmp_path / 'alone', 1, '--resume', str(newest)))
    assert 'resume: 1 process instead of 2' in alone and 'not bit for bit' in alone
    both = finish(start(folder, 2, '--resume'))
    assert 'not bit for bit' not in both[0]
    a, b = (read_checkpoint(tmp_path / way / 'iter_30.pth') for way in ('unbroken', 'broken'))
    assert all(value.equal(b['state_dict'][name]) for name, value in a['state_dict'].items())
    for one, other in zip(a['random_states'], b['random_states'], strict=True):
        assert one['torch'].equal(other['torch'])


def test_the_death_of_torchrun_is_a_signal(monkeypatch):
    monkeypatch.delenv('TORCHELASTIC_RUN_ID', raising=False)
    alone = StopRequest()
    monkeypatch.setenv('TORCHELASTIC_RUN_ID', 'none')
    member = StopRequest()
    assert not member.agreed()
    monkeypatch.setattr(os, 'getppid', lambda: 1)
    assert member.agreed() and member.signal_number == signal.SIGTERM
    # A training outlives the shell that started it.
    assert not alone.agreed()


@pytest.mark.slow
def test_processes_end_after_torchrun_was_killed(tmp_path):
    command = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node=2']
    command += ['tools/train.py', 'configs/tiny/ar_32.py', '--launcher', 'pytorch']
    command += ['--work-dir', str(tmp_path / 'run'), '--cfg-options', *OPTIONS]
    command += ['train_cfg.max_iters=100000', 'default_hooks.checkpoint.interval=None']
    with open(tmp_path / 'output.txt', 'w') as file:
        torchrun = subprocess.Popen(command, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT)
    # The first validation is after 30 iterations.
    while 'Iter(val)' not in (tmp_path / 'output.txt').read_text():
        assert torchrun.poll() is None, (tmp_path / 'output.txt').read_text()[-2000:]
        time.sleep(0.1)
    children = Path(f'/proc/{torchrun.pid}/task/{torchrun.pid}/children').read_text().split()
    assert len(children) == 2
    torchrun.kill()
    torchrun.wait()
    begin = time.monotonic()
    while any(alive(int(child)) for child in children):
        assert time.monotonic() - begin < 60
        time.sleep(0.1)
    (checkpoint,) = (tmp_path / 'run').glob('iter_*.pth')
    assert len(read_checkpoint(checkpoint)['random_states']) == 2


DIES = """
import os
from openmagvit2.evaluation.metrics import PSNR
from openmagvit2.registry import METRICS


@METRICS.register_module()
class Dies(PSNR):
    def update(self, sample):
        if os.environ['RANK'] == '1':
            os._exit(3)
        super().update(sample)
"""


@pytest.mark.slow
def test_a_test_ends_with_a_sentence_too(tmp_path):
    (tmp_path / 'dies.py').write_text(DIES)
    config = tmp_path / 'dies_32.py'
    config.write_text(
        f"_base_ = ['{ROOT}/configs/tiny/lfq_32.py']\ncustom_imports = dict(imports=['dies'])\n"
        "val_evaluator = [dict(type='Dies')]\n"
    )
    model = init_model('tiny/lfq_32')
    write_checkpoint(dict(state_dict=model.state_dict()), tmp_path / 'model.pth')
    folder = str(tmp_path / 'run')
    first, second = run(
        2, 'tools/test.py', str(config), str(tmp_path / 'model.pth'), '--work-dir', folder
    )
    output = first.communicate(timeout=120)[0]
    second.communicate()
    assert (first.returncode, second.returncode) == (2, 3), output[-2000:]
    assert 'error: Another process of this test has ended' in output
    assert 'Traceback' not in output


def _stuck(rank: int, folder: str, number: int) -> None:
    """Let both processes wait, as nccl waits for a device; then kill or stop the second one."""
    sys.stderr = open(f'{folder}/{rank}.txt', 'w')
    store = f'file://{folder}/rendezvous'
    dist.init_process_group(
        'gloo', init_method=store, rank=rank, world_size=2, timeout=timedelta(minutes=3)
    )
    with watched(Config(dict(env_cfg=dict(dist_cfg=dict(heartbeat=4)))), 'work_dirs/x'):
        if rank == 1:
            os.kill(os.getpid(), number)
        time.sleep(100)


@pytest.mark.slow
@pytest.mark.parametrize('number', [signal.SIGKILL, signal.SIGSTOP])
def test_a_process_that_waits_for_its_device_ends_too(tmp_path, number):
    context = mp.get_context('spawn')
    members = [context.Process(target=_stuck, args=(r, str(tmp_path), number)) for r in range(2)]
    for member in members:
        member.start()
    members[0].join(60)
    os.kill(members[1].pid, signal.SIGKILL)
    members[1].join()
    assert members[0].exitcode == 2
    assert (tmp_path / '0.txt').read_text().startswith(f'error: {MESSAGE}')


def test_communication_errors_are_recognized():
    text = '[/x/third_party/gloo/gloo/transport/tcp/pair.cc:5] Connection closed by peer [::1]:2'
    assert is_lost(RuntimeError(text)) and is_lost(dist.DistBackendError('timeout'))
    assert not is_lost(RuntimeError('CUDA out of memory')) and not is_lost(ValueError(text))


@pytest.mark.parametrize('value', [0, -1, '60'])
def test_the_heartbeat_is_a_positive_number(value):
    settings = Config(dict(env_cfg=dict(dist_cfg=dict(heartbeat=value))))
    with pytest.raises(UserError, match='env_cfg.dist_cfg.heartbeat must be a positive number'):
        with watched(settings, 'work_dirs/x'):
            pass
