"""Ctrl-C and SIGTERM end a training after the current iteration, with a checkpoint."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist


class TrainingStopped(Exception):
    """A signal ended the training; ``iteration`` iterations are saved.

    Attributes:
        iteration: Iterations done.
        signal_number: What ended it.
    """

    def __init__(self, iteration: int, signal_number: int) -> None:
        super().__init__(f'stopped after iteration {iteration}')
        self.iteration = iteration
        self.signal_number = signal_number


class StopRequest:
    """Whether a signal has come; a second Ctrl-C interrupts at once."""

    def __init__(self) -> None:
        self.signal_number = 0
        # Whether some process came to the last agreement with an error.
        self.failed = False
        self._group: dist.ProcessGroup | None = None

    def __call__(self, number: int, frame: object) -> None:
        """The signal handler."""
        if number == signal.SIGINT and self.signal_number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal_number = number

    def agreed(self, failed: bool = False) -> bool:
        """Whether any process was signalled, or has failed; all processes must call it at the same
        place.
        """
        flag = torch.tensor([self.signal_number, int(failed)])
        if dist.is_initialized() and dist.get_world_size() > 1:
            # A CPU group: the question must not wait for the GPU's queue.
            self._group = self._group or dist.new_group(backend='gloo')
            dist.all_reduce(flag, dist.ReduceOp.MAX, group=self._group)
        # A signal that came while waiting stays for the next call; this answer must be the same
        # everywhere.
        number, self.failed = int(flag[0]), bool(flag[1])
        self.signal_number = self.signal_number or number
        return bool(number) or self.failed


@contextmanager
def listening() -> Iterator[StopRequest]:
    """Handle SIGINT and SIGTERM inside, restore the old handlers after."""
    request = StopRequest()
    old = {number: signal.signal(number, request) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
