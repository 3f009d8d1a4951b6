"""Synchronize the processes of a run: wait for hours, or for the main process."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import torch.distributed as dist
from mmengine.dist import broadcast_object_list, is_main_process

from openmagvit2.errors import UserError

# How long processes that finish early wait for the others.
LONG = timedelta(days=7)
_long_group: dist.ProcessGroup | None = None


def make_long_group() -> None:
    """Create the group of :func:`long_barrier`; all processes must call this before their work."""
    global _long_group
    _long_group = dist.new_group(backend='gloo', timeout=LONG)


def long_barrier() -> None:
    """Wait for all processes, for days if necessary, after work of uneven length.

    This uses no device and fails at once if another process ends. Without
    :func:`make_long_group`, the first call must happen within the timeout of the default group.

    Raises:
        UserError: Another process has ended.
    """
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return
    if _long_group is None:
        make_long_group()
    try:
        dist.barrier(group=_long_group)
    except RuntimeError as error:
        raise UserError(
            'Another process has ended; its output may say why. The same command continues from '
            'what is done.'
        ) from error


def leave() -> None:
    """Leave the process group when all processes have called this."""
    global _long_group
    # The others still use the store of the first process.
    dist.barrier()
    dist.destroy_process_group()
    _long_group = None


def on_main(function: Callable[[], Any], wait: Callable[[], None] | None = None) -> Any:
    """Call a function in the main process and return its result in all processes.

    All processes must call this together.

    Args:
        function: The function.
        wait: Waits for the main process, such as :func:`long_barrier` if the function may take
            longer than the timeout of the group.

    Raises:
        UserError: The function raised it; then it is raised in all processes.
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
        raise answer[0]
    return answer[0]
