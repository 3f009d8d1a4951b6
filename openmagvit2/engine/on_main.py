"""Decisions of the main process that all processes follow."""

from collections.abc import Callable
from typing import Any

from mmengine.dist import broadcast_object_list, is_main_process

from openmagvit2.errors import UserError


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
