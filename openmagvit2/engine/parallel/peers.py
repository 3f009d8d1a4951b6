"""End all processes of a run with a message if one of them is lost."""

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

# Seconds within which the death of a process ends the others (`env_cfg.dist_cfg.heartbeat`).
HEARTBEAT = 60
EXIT_CODE = 2
# Parts of the messages of gloo's and nccl's errors, which may be plain RuntimeErrors.
SIGNS = ('gloo/transport', 'Connection closed by peer', 'Connection reset by peer', 'NCCL')
ALIVE, ENDED, FAILED = 0, 1, 2


class ProcessLost(UserError):
    """Another process of the run has ended or does not answer."""


def is_lost(error: BaseException) -> bool:
    """Return whether an error came from communication with a lost process."""
    kinds = (dist.DistBackendError, dist.DistNetworkError, dist.DistStoreError)
    text = str(error)
    return isinstance(error, kinds) or (
        isinstance(error, RuntimeError) and any(sign in text for sign in SIGNS)
    )


@contextmanager
def watched(config: Config, folder: str | None) -> Iterator[None]:
    """Run a training or a test; end this process if another one is lost.

    gloo notices a closed connection at once. nccl blocks until its timeout, so a thread exchanges
    heartbeats by gloo. If a process does not answer, and this one does not fail by itself within
    half of the time, the thread prints a message and ends this process.

    Args:
        config: Its ``env_cfg.dist_cfg.heartbeat`` is the time in seconds (60); None disables the
            thread.
        folder: Folder of a training's checkpoints, for the message; None for a test.

    Raises:
        ProcessLost: Another process has exited or does not answer.
        UserError: The heartbeat is not a positive number.
    """
    settings = config.get('env_cfg', {}).get('dist_cfg') or {}
    seconds = settings.get('heartbeat', HEARTBEAT)
    task, remedy = 'test', 'Run the test again.'
    if folder is not None:
        task, remedy = 'training', f'Resume the last checkpoint in {folder} with --resume.'
    sentence = (
        f'Another process of this {task} has ended or does not answer; see its output for the '
        f'reason. {remedy}'
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
    """Exchange heartbeats with the other processes; all must create a watch at the same place."""

    def __init__(self, seconds: float, sentence: str) -> None:
        self.sentence, self.half = sentence, seconds / 2
        self.group = dist.new_group(backend='gloo', timeout=timedelta(seconds=self.half))
        self.state, self.left = ALIVE, threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def leave(self, state: int) -> None:
        """Stop with a last state, which the other processes receive."""
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
        # This process may fail by itself first, or be writing a file.
        if not self.left.wait(self.half):
            print(f'error: {self.sentence}', file=sys.stderr, flush=True)
            # sys.exit ends only this thread.
            os._exit(EXIT_CODE)
