"""Processes with little work wait for the others longer than a single exchange may take."""

import os
import time
from datetime import timedelta

import pytest
import torch.distributed as dist
from two_processes import run_in_two

from openmagvit2 import processes
from openmagvit2.errors import UserError

SHORT = timedelta(seconds=2)


def _uneven(rank: int, folder: str) -> None:
    short = dist.new_group(backend='gloo', timeout=SHORT)
    processes.make_long_group()
    time.sleep(4 * rank)
    processes.long_barrier()
    # The usual barrier after the work times out.
    time.sleep(4 * rank)
    if rank == 0:
        with pytest.raises(RuntimeError):
            dist.barrier(group=short)


@pytest.mark.slow
@pytest.mark.smoke
def test_a_long_barrier_outlasts_the_timeout(tmp_path):
    run_in_two(_uneven, tmp_path)


def _one_ends(rank: int, folder: str) -> None:
    processes.make_long_group()
    if rank == 0:
        with pytest.raises(UserError, match='Another process has exited'):
            processes.long_barrier()
    # Leaving the group would need both processes.
    os._exit(0)


@pytest.mark.slow
def test_a_process_that_ends_ends_the_wait_at_once(tmp_path):
    run_in_two(_one_ends, tmp_path)


def test_one_process_does_not_wait():
    processes.long_barrier()
