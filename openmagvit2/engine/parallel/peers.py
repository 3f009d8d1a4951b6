"""If one process is lost, the others end within a given time with a message."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist
from mmengine.config import Config

from openmagvit2.engine.launch import positive
from openmagvit2.errors import UserError

# Seconds in which the death of a process ends the others (`env_cfg.dist_cfg.heartbeat`).
HEARTBEAT = 60
EXIT_CODE = 2
# Parts of error messages of gloo and nccl, which may not have a class of their own.
SIGNS = ('gloo/transport', 'Connection closed by peer', 'Connection reset by peer', 'NCCL')
ALIVE, ENDED, FAILED = 0, 1, 2


class ProcessLost(UserError):
    """Another process of the training has ended, or does not answer."""


def is_lost(error: BaseException) -> bool:
    """Return whether an error came from communication with a process that is gone."""
    kinds = (dist.DistBackendError, dist.DistNetworkError, dist.DistStoreError)
    text = str(error)
    return isinstance(error, kinds) or (
        isinstance(error, RuntimeError) and any(sign in text for sign in SIGNS)
    )


@contextmanager
def watched(config: Config, folder: str | None) -> Iterator[None]:
    """Run a training or test; end this process if another one is lost.

    gloo sees a closed connection at once. nccl blocks until its time-out, so a thread asks all
    processes for a sign of life by gloo. If one gives none, and this process has not failed by
    itself within half of the time, the thread prints the message and ends it.

    Args:
        config: Its ``env_cfg.dist_cfg.heartbeat`` is the time in seconds (60); None disables this.
        folder: Folder of a training's checkpoints, for the message; None for a test.

    Raises:
        ProcessLost: Another process has ended or does not answer.
        UserError: The heartbeat is not a positive number.
    """
    settings = config.get('env_cfg', {}).get('dist_cfg') or {}
    seconds = settings.get('heartbeat', HEARTBEAT)
    task, remedy = 'test', 'Call the test again.'
    if folder is not None:
        task, remedy = 'training', f'Go on from the last checkpoint in {folder} with --resume.'
    sentence = (
        f'Another process of this {task} has ended or does not answer; its own output may say '
        f'why. {remedy}'
    )
    if seconds is not None:
        positive('heartbeat', seconds)
    if not dist.is_initialized() or dist.get_world_size() == 1:
        yield
        return
    watch = _Watch(seconds, sentence) if seconds is not None else None
    try:
        yield
    except BaseException as error:
        if watch:
            watch.leave(FAILED)
        if is_lost(error):
            raise ProcessLost(sentence) from error
        raise
    if watch:
        watch.leave(ENDED)
        watch.thread.join()


class _Watch:
    """Ask all processes for a sign of life; all must create one at the same place."""

    def __init__(self, seconds: float, sentence: str) -> None:
        self.sentence, self.half = sentence, seconds / 2
        self.group = dist.new_group(backend='gloo', timeout=timedelta(seconds=self.half))
        self.state, self.left = ALIVE, threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def leave(self, state: int) -> None:
        """Set the last state that the other processes receive."""
        self.state = state
        self.left.set()

    def _run(self) -> None:
        while True:
            flag = torch.tensor([self.state])
            try:
                dist.all_reduce(flag, dist.ReduceOp.MAX, group=self.group)
            except RuntimeError:
                flag.fill_(FAILED)
            if int(flag) == FAILED:
                self._end()
            if int(flag) != ALIVE:
                return
            self.left.wait(self.half / 6)

    def _end(self) -> None:
        # The training may fail by itself first, or be writing a file.
        if not self.left.wait(self.half):
            print(f'error: {self.sentence}', file=sys.stderr, flush=True)
            # sys.exit would wait for the device.
            os._exit(EXIT_CODE)
