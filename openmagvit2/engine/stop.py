"""Stop a training with a checkpoint after Ctrl-C or SIGTERM."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist


class StopRequest:
    """A flag that signals set; a second Ctrl-C interrupts at once.

    The death of torchrun counts as SIGTERM, because nothing else ends the processes of a torchrun
    that was killed.
    """

    def __init__(self) -> None:
        self.signal_number = 0
        self._parent = os.getppid() if 'TORCHELASTIC_RUN_ID' in os.environ else None
        # Whether any process reported an error in the last call of `agreed`.
        self.failed = False
        self._group: dist.ProcessGroup | None = None

    def __call__(self, number: int, frame: object) -> None:
        """Handle a signal."""
        if number == signal.SIGINT and self.signal_number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal_number = number

    def agreed(self, failed: bool = False) -> bool:
        """Return whether any process got a signal or has failed; all processes must call this."""
        if self._parent not in (None, os.getppid()):
            self.signal_number = self.signal_number or signal.SIGTERM
        flag = torch.tensor([self.signal_number, int(failed)])
        if dist.is_initialized() and dist.get_world_size() > 1:
            # Of the CPU: it does not synchronize with a GPU.
            self._group = self._group or dist.new_group(backend='gloo')
            dist.all_reduce(flag, dist.ReduceOp.MAX, group=self._group)
        # The result must be the same in all processes, so a signal that arrives meanwhile is kept
        # for the next call.
        number, self.failed = int(flag[0]), bool(flag[1])
        self.signal_number = self.signal_number or number
        return bool(number) or self.failed


@contextmanager
def listening() -> Iterator[StopRequest]:
    """Handle SIGINT and SIGTERM within the context; restore the old handlers on exit."""
    request = StopRequest()
    old = {number: signal.signal(number, request) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
