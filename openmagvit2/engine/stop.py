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
        self._group: dist.ProcessGroup | None = None

    def __call__(self, number: int, frame: object) -> None:
        """The signal handler."""
        if number == signal.SIGINT and self.signal_number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal_number = number

    def agreed(self) -> bool:
        """Whether any process was signalled; all processes must call it at the same place."""
        if dist.is_initialized() and dist.get_world_size() > 1:
            # A CPU group: the question must not wait for the GPU's queue.
            self._group = self._group or dist.new_group(backend='gloo')
            flag = torch.tensor([self.signal_number])
            dist.all_reduce(flag, dist.ReduceOp.MAX, group=self._group)
            # A signal that came while waiting stays for the next call; this answer must be the same
            # everywhere.
            self.signal_number = self.signal_number or int(flag)
            return bool(flag)
        return self.signal_number != 0


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
