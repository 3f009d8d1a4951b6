"""Runs a function of a test in the processes of one group, usually two."""

import os
from collections.abc import Callable
from datetime import timedelta

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from openmagvit2.engine import launch


def _member(
    rank: int, work: Callable, folder: str, args: tuple, count: int = 2, backend: str = 'gloo'
) -> None:
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(count))
    if backend == 'nccl':
        torch.cuda.set_device(rank)
    torch.set_num_threads(1)
    # Where one process is lost, the other is to say so rather than wait for half an hour.
    store = f'file://{folder}/rendezvous'
    dist.init_process_group(
        backend, init_method=store, rank=rank, world_size=count, timeout=timedelta(minutes=3)
    )
    work(rank, folder, *args)
    launch.finish(0)


def run_in_two(work: Callable, folder: object, *args: object) -> None:
    """Call `work(rank, folder, *args)`, a function of a module, in two gloo processes; an exception
    in one is raised here.

    The processes end as the tools do (`launch.finish`): after gloo the interpreter's normal end
        sometimes aborts.
    """
    _start(2, work, str(folder), args)


def run_on_cards(work: Callable, folder: object, *args: object) -> None:
    """The same on two cards, or on one where there is one, each with a process of its own; in two
    gloo processes where there is none.
    """
    cards = min(torch.cuda.device_count(), 2)
    rest = (cards, 'nccl') if cards else (2, 'gloo')
    _start(rest[0], work, str(folder), args, *rest)


def _start(count: int, *args: object) -> None:
    """Each process is a fork of one that has loaded torch and has computed nothing."""
    mp.get_context('forkserver').set_forkserver_preload(['openmagvit2.apis', 'openmagvit2.engine'])
    mp.start_processes(_member, args, nprocs=count, start_method='forkserver')
