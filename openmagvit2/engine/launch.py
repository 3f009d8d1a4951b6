"""Start and end the processes of a run, on GPUs (nccl) or CPUs (gloo)."""

import os
import re
import socket
import sys
from datetime import timedelta

import torch
import torch.distributed as dist
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.dist import is_main_process

from openmagvit2.errors import UserError, first_line
from openmagvit2.processes import leave, make_long_group

__all__ = ['finish', 'is_main_process', 'start']

# Environment variables that a launcher sets. A batch script of Slurm has no step: it is a single
# process, which would wait for the others.
NEEDED = dict(
    pytorch=('RANK', 'WORLD_SIZE'), slurm=('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_STEP_ID')
)
# Seconds that a collective operation may take (`env_cfg.dist_cfg.timeout`).
TIMEOUT = 1800


def start(launcher: str, config: Config | None = None) -> None:
    """Join the process group that the launcher describes in the environment.

    Args:
        launcher: 'none', 'pytorch' (torchrun), or 'slurm'.
        config: Its ``env_cfg.dist_cfg`` has ``timeout``, the seconds that a collective operation
            may take (1800), ``backend`` on GPUs ('nccl'), and ``port`` for slurm (default: derived
            from the job's number).

    Raises:
        UserError: The environment lacks the launcher's variables, the timeout is not positive,
            there are fewer GPUs than processes, or the processes cannot connect.
    """
    if launcher == 'none' or dist.is_initialized():
        return
    settings = (config or {}).get('env_cfg', {}).get('dist_cfg') or {}
    timeout = positive(
        'timeout', TIMEOUT if settings.get('timeout') is None else settings['timeout']
    )
    for name in NEEDED[launcher]:
        if name not in os.environ:
            raise UserError(
                f'--launcher {launcher}: {name} is not set; start with tools/dist_*.sh, torchrun, '
                f'tools/slurm_*.sh or srun.'
            )
    if launcher == 'slurm':
        os.environ.update(_as_torchrun(settings.get('port')))
        _check_name(os.environ['MASTER_ADDR'])
    backend = settings.get('backend', 'nccl') if _select_gpu(launcher) else 'gloo'
    try:
        dist.init_process_group(backend, timeout=timedelta(seconds=timeout))
        make_long_group()
    except (KeyError, RuntimeError, ValueError) as error:
        raise UserError(
            f'--launcher {launcher}: this process cannot join the others ({first_line(error)}). '
            f'Check that MASTER_PORT is free on MASTER_ADDR and can be reached from every node; '
            f'set NCCL_SOCKET_IFNAME and GLOO_SOCKET_IFNAME to the network interface of the nodes.'
        ) from error


def _as_torchrun(port: int | None) -> dict[str, str]:
    """Return slurm's variables under torchrun's names; a MASTER_ADDR that is set is kept."""
    own = os.environ
    nodes = own.get('SLURM_STEP_NODELIST') or own.get('SLURM_JOB_NODELIST') or '127.0.0.1'
    # Jobs that share a node have numbers of their own, and so have the steps of a job.
    number = int(own.get('SLURM_JOB_ID', 0)) + 1009 * int(own['SLURM_STEP_ID'])
    port = port or own.get('MASTER_PORT') or 20000 + number % 10000
    return dict(
        RANK=own['SLURM_PROCID'],
        WORLD_SIZE=own['SLURM_NTASKS'],
        LOCAL_RANK=own.get('SLURM_LOCALID', '0'),
        MASTER_ADDR=own.get('MASTER_ADDR') or first_host(nodes),
        MASTER_PORT=str(port),
    )


def first_host(nodes: str) -> str:
    """Return the first host of slurm's list, such as 'a03' for 'a[03-07,9],b1'.

    This does not use ``scontrol``, which containers lack.
    """
    match = re.match(r'(?:\[[^]]*\]|[^],[])+', nodes)
    return re.sub(r'\[([^],-]*)[^]]*\]', r'\1', match[0] if match else nodes)


def _check_name(host: str) -> None:
    """Raise UserError if a name has no address; torch would ask for it until the time-out."""
    try:
        socket.getaddrinfo(host, None)
    except socket.gaierror as error:
        if error.errno != socket.EAI_AGAIN:
            raise UserError(
                f'--launcher slurm: {host}, the name of the first node, has no address on this '
                f'node; set MASTER_ADDR to the address of the first node.'
            ) from error


def _select_gpu(launcher: str) -> bool:
    """Select the GPU of this process; return False on a machine without GPUs.

    Raises:
        UserError: There are fewer GPUs than processes, or the accelerator supports one process.
    """
    if not torch.cuda.is_available():
        if get_device() != 'cpu':
            raise UserError(
                f'--launcher {launcher}: several processes need CUDA GPUs or CPUs, but the device '
                f'here is {get_device()}; leave --launcher out.'
            )
        return False
    number = int(os.environ.get('LOCAL_RANK', os.environ['RANK']))
    gpus = torch.cuda.device_count()
    # slurm may let each process see only its own GPU.
    if number >= gpus and not (launcher == 'slurm' and gpus == 1):
        raise UserError(
            f'--launcher {launcher}: this machine has {gpus} GPU{"s" if gpus > 1 else ""} and '
            f'process {number} (from 0); start one process per GPU.'
        )
    torch.cuda.set_device(number % gpus)
    return True


def positive(key: str, value: object) -> float:
    """Return a value of ``env_cfg.dist_cfg``; raise UserError if it is not a positive number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value <= 0:
        raise UserError(
            f'env_cfg.dist_cfg.{key} must be a positive number of seconds, got {value!r}.'
        )
    return value


def finish(code: int) -> None:
    """Leave the process group and exit with a code."""
    distributed = dist.is_initialized()
    if distributed and code == 0:
        leave()
    sys.stdout.flush()
    sys.stderr.flush()
    if distributed and (code or not torch.cuda.is_available()):
        # After an error the group may wait for a process that is gone. With gloo, a normal exit of
        # the interpreter sometimes aborts.
        os._exit(code)
    sys.exit(code)
