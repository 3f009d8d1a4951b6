"""Start and end of a run in one or several processes, on GPUs (nccl) and CPUs (gloo)."""

import os
import sys
from datetime import timedelta

import torch
import torch.distributed as dist
from mmengine.config import Config
from mmengine.dist import init_dist, is_main_process

from openmagvit2.errors import UserError
from openmagvit2.processes import leave, make_long_group

__all__ = ['finish', 'is_main_process', 'start']

# Variables that show that a launcher has started this process.
NEEDED = dict(pytorch=('RANK', 'WORLD_SIZE'), slurm=('SLURM_PROCID', 'SLURM_NTASKS'))
# How long one exchange between processes may take, in seconds (`env_cfg.dist_cfg.timeout`).
TIMEOUT = 1800


def start(launcher: str, config: Config | None = None) -> None:
    """Join the process group that the launcher describes in the environment, on GPUs or CPUs.

    Args:
        launcher: 'none', 'pytorch' (torchrun), or 'slurm'.
        config: ``env_cfg.dist_cfg`` is read: ``timeout``, the seconds that one exchange between
            processes may take (1800).

    Raises:
        UserError: The environment lacks the launcher's variables; the time-out is not positive.
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
                f'--launcher {launcher}: {name} is not set; start with tools/dist_*.sh or '
                f'torchrun, tools/slurm_*.sh or srun.'
            )
    if torch.cuda.is_available():
        port = dict(port=settings['port']) if launcher == 'slurm' and 'port' in settings else {}
        init_dist(launcher, backend=settings.get('backend', 'nccl'), timeout=timeout, **port)
    else:
        if launcher == 'slurm':
            os.environ.setdefault('RANK', os.environ['SLURM_PROCID'])
            os.environ.setdefault('WORLD_SIZE', os.environ['SLURM_NTASKS'])
            os.environ.setdefault('LOCAL_RANK', os.environ.get('SLURM_LOCALID', '0'))
        dist.init_process_group('gloo', timeout=timedelta(seconds=timeout))
    make_long_group()


def positive(key: str, value: object) -> float:
    """Return a number of seconds of ``env_cfg.dist_cfg``; raise UserError if it is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value <= 0:
        raise UserError(
            f'env_cfg.dist_cfg.{key} must be a number of seconds above 0, got {value!r}.'
        )
    return value


def finish(code: int) -> None:
    """Leave the process group and end the process with an exit code."""
    distributed = dist.is_initialized()
    if distributed and code == 0:
        leave()
    sys.stdout.flush()
    sys.stderr.flush()
    if distributed and (code or not torch.cuda.is_available()):
        # After an error the group may wait for a process that is gone; and after gloo the
        # interpreter's normal end sometimes aborts.
        os._exit(code)
    sys.exit(code)
