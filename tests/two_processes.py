"""Runs a test's function in two processes of one group."""

import os
from collections.abc import Callable
from datetime import timedelta

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from openmagvit2.engine import launch


def _member(rank: int, work: Callable, folder: str, args: tuple) -> None:
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE='2')
    torch.set_num_threads(1)
    # Where one process is lost, the other is to say so rather than wait for half an hour.
    store = f'file://{folder}/rendezvous'
    dist.init_process_group(
        'gloo', init_method=store, rank=rank, world_size=2, timeout=timedelta(minutes=3)
    )
    work(rank, folder, *args)
    launch.finish(0)


def run_in_two(work: Callable, folder: object, *args: object) -> None:
    """Call `work(rank, folder, *args)`, a function of a module, in two gloo processes; an exception
    in one is raised here.

    The processes end as the tools do (`launch.finish`): after gloo the interpreter's normal end
        sometimes aborts.
    """
    mp.spawn(_member, (work, str(folder), args), nprocs=2)
