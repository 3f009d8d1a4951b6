"""Iterations of several micro-batches: averages and tables are updated once per iteration."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


class PerIteration(nn.Module):
    """A module that updates buffers in training, or whose loss depends on the whole batch.

    Each forward pass is one iteration unless it runs inside :func:`one_iteration`, so the module
    works in any training loop.

    Attributes:
        whole_batch: Whether a pass needs the statistics of all passes of its iteration, including
            later ones; the loop then rehearses the iteration.
    """

    whole_batch: bool = False
    # Statistics of the passes of the current `one_iteration`; None outside of it.
    gathered: list[tuple[Tensor, ...]] | None = None
    # Result of `foresee` after a rehearsal; None without one.
    foreseen: Any = None

    def gather(self, *statistics: Tensor) -> None:
        """Add the detached statistics of one pass, for :meth:`move` at the end of the iteration."""
        if self.gathered is None:
            self.move([statistics])
        else:
            self.gathered.append(statistics)

    def foresee(self, statistics: list[tuple[Tensor, ...]]) -> Any:
        """Return the value of ``foreseen`` for an iteration, from one tuple of statistics for each
        of its passes.
        """
        return statistics

    def move(self, statistics: list[tuple[Tensor, ...]]) -> None:
        """Update the buffers with the statistics of an iteration, one tuple per pass."""
        raise NotImplementedError


@contextmanager
def one_iteration(model: nn.Module, rehearse: Callable[[], Any] | None = None) -> Iterator[None]:
    """Treat the training passes inside the context as micro-batches of one iteration.

    If an error occurs, no buffer changes. Nested contexts have no effect.

    Args:
        model: Model with :class:`PerIteration` parts.
        rehearse: Runs the passes of the iteration without a step; called if a part has
            ``whole_batch``.
    """
    parts = [part for part in _parts(model) if part.gathered is None]
    for part in parts:
        part.gathered = []
    try:
        if rehearse is not None and any(part.whole_batch for part in parts):
            with torch.no_grad():
                rehearse()
            for part in parts:
                part.foreseen = part.foresee(part.gathered) if part.gathered else None
                part.gathered = []
        yield
        for part in parts:
            statistics, part.gathered = part.gathered, None
            if statistics:
                part.move(statistics)
    finally:
        for part in parts:
            part.gathered = part.foreseen = None


def needs_whole_batch(model: nn.Module) -> bool:
    """Return whether a part needs the statistics of all passes of its iteration."""
    return any(part.whole_batch for part in _parts(model))


@contextmanager
def each_pass(model: nn.Module) -> Iterator[None]:
    """Let each pass in the context update buffers at once, even inside :func:`one_iteration`."""
    announced = [(part, part.gathered) for part in _parts(model)]
    for part, _ in announced:
        part.gathered = None
    try:
        yield
    finally:
        for part, gathered in announced:
            part.gathered = gathered


def _parts(model: nn.Module) -> list[PerIteration]:
    return [part for part in model.modules() if isinstance(part, PerIteration)]
