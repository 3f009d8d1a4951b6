"""Start and end of a run in one or several processes, on GPUs (nccl) and CPUs (gloo)."""

import os
import sys

import torch
import torch.distributed as dist
from mmengine.dist import init_dist, is_main_process

from openmagvit2.errors import UserError

__all__ = ['finish', 'is_main_process', 'sentence', 'start']

# What each launcher's own variables are told by.
NEEDED = dict(pytorch=('RANK', 'WORLD_SIZE'), slurm=('SLURM_PROCID', 'SLURM_NTASKS'))


def start(launcher: str) -> None:
    """Join the process group that the launcher describes in the environment; mmengine alone cannot
    do so on a CPU.

    Args:
        launcher: 'none', 'pytorch' (torchrun), or 'slurm'.

    Raises:
        UserError: The environment is not that of the launcher.
    """
    if launcher == 'none' or dist.is_initialized():
        return
    for name in NEEDED[launcher]:
        if name not in os.environ:
            raise UserError(
                f'--launcher {launcher}: {name} is not set; start with tools/dist_*.sh or '
                f'torchrun, tools/slurm_*.sh or srun.'
            )
    if torch.cuda.is_available():
        init_dist(launcher, backend='nccl')
        return
    if launcher == 'slurm':
        os.environ.setdefault('RANK', os.environ['SLURM_PROCID'])
        os.environ.setdefault('WORLD_SIZE', os.environ['SLURM_NTASKS'])
        os.environ.setdefault('LOCAL_RANK', os.environ.get('SLURM_LOCALID', '0'))
    dist.init_process_group('gloo')


def sentence(error: UserError) -> str:
    """A user's mistake without the traceback that a loader's worker process puts around it."""
    text = str(error)
    return (
        text.rpartition(f'\n{UserError.__module__}.{UserError.__name__}: ')[2].strip()
        if text.startswith('Caught ')
        else text
    )


def finish(code: int) -> None:
    """Leave the process group and end the process with an exit code."""
    distributed = dist.is_initialized()
    if distributed:
        if code == 0:
            # The store of the first process must outlive what the others still ask it.
            dist.barrier()
        dist.destroy_process_group()
    sys.stdout.flush()
    sys.stderr.flush()
    if distributed and not torch.cuda.is_available():
        # The interpreter's normal end sometimes aborts after gloo has been used.
        os._exit(code)
    sys.exit(code)
