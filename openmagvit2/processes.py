"""What the processes of a run do together: wait for hours, and follow the main process."""

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
    """Make the group that :func:`long_barrier` uses; all processes together, before their work."""
    global _long_group
    _long_group = dist.new_group(backend='gloo', timeout=LONG)


def long_barrier() -> None:
    """Wait for all processes, for days if necessary, after work of uneven length.

    It uses no device, and fails at once if another process ends.

    In a group that :func:`start` did not make, the processes have to come to their first call
    within that group's own time-out.

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
            'Another process has ended, and its own output may say why; the same command goes on '
            'from what is done.'
        ) from error


def leave() -> None:
    """Leave the process group once all processes have come here."""
    global _long_group
    # The others still use the store of the first process.
    dist.barrier()
    dist.destroy_process_group()
    _long_group = None


def on_main(function: Callable[[], Any], wait: Callable[[], None] | None = None) -> Any:
    """Call a function in the main process and return its result in all.

    All processes must call this together.

    Args:
        function: What the main process does.
        wait: Waits for it, as :func:`long_barrier` where it may take longer than the time-out of an
            exchange.

    Raises:
        UserError: In all processes, if the function raised it.
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
