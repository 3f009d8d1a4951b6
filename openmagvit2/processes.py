"""Synchronization of processes: a barrier with a long timeout, and calls in the main process."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import torch.distributed as dist
from mmengine.dist import broadcast_object_list, is_main_process

from openmagvit2.errors import UserError

# Timeout of the long barrier.
LONG = timedelta(days=7)
_long_group: dist.ProcessGroup | None = None


def make_long_group() -> None:
    """Create the process group of :func:`long_barrier`; call this in all processes at the start."""
    global _long_group
    _long_group = dist.new_group(backend='gloo', timeout=LONG)


def long_barrier() -> None:
    """Wait until all processes get here, for up to a week.

    Use it after work that takes processes different times. It uses gloo, and fails immediately if
    another process exits. Without :func:`make_long_group`, all processes must make their first call
    within the timeout of the default group.

    Raises:
        UserError: Another process has exited.
    """
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return
    if _long_group is None:
        make_long_group()
    try:
        dist.barrier(group=_long_group)
    except RuntimeError as error:
        raise UserError(
            'Another process has exited; see its output for the reason. Repeat the command to '
            'continue.'
        ) from error


def leave() -> None:
    """Destroy the process group once all processes have called this."""
    global _long_group
    # Rank 0 hosts the store, which the others still use.
    dist.barrier()
    dist.destroy_process_group()
    _long_group = None


def on_main(function: Callable[[], Any], wait: Callable[[], None] | None = None) -> Any:
    """Call a function in the main process and return its result in all processes.

    All processes must call this together.

    Args:
        function: Called in the main process only.
        wait: Barrier before the result is broadcast: :func:`long_barrier` if the function may take
            longer than the timeout of the group.

    Raises:
        UserError: The function raised it; all processes raise it again.
    """
    answer: list = [None]
    if is_main_process():
        try:
            answer = [function()]
        except UserError as error:
            answer = [error]
    if wait is not None:
        wait()
    broadcast_object_list(answer)
    if isinstance(answer[0], UserError):
        answer[0].elsewhere = not is_main_process()
        raise answer[0]
    return answer[0]
