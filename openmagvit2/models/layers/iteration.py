"""One iteration in several micro-batches: what a batch does to averages and tables happens once."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


class PerIteration(nn.Module):
    """A module whose training passes move buffers, or whose loss is of a whole batch.

    Each forward pass is one iteration unless a loop says otherwise with
    :func:`one_iteration`. So the module works in anybody's loop.

    Attributes:
        whole_batch: Whether a pass must know the statistics of all passes of its iteration, those
            to come too; the loop then rehearses the iteration.
    """

    whole_batch: bool = False
    # What the passes of an announced iteration have gathered so far; None: none is announced.
    gathered: list[tuple[Tensor, ...]] | None = None
    # What `foresee` made of a rehearsal; None: there was none.
    foreseen: Any = None

    def gather(self, *statistics: Tensor) -> None:
        """Hand over what one pass says, detached; at the end of the iteration it moves buffers."""
        if self.gathered is None:
            self.move([statistics])
        else:
            self.gathered.append(statistics)

    def foresee(self, statistics: list[tuple[Tensor, ...]]) -> Any:
        """Return what the passes of an iteration find in ``foreseen``, from the statistics of all
        its passes, one tuple for each.
        """
        return statistics

    def move(self, statistics: list[tuple[Tensor, ...]]) -> None:
        """Move the buffers by the statistics of an iteration, one tuple for each pass."""
        raise NotImplementedError


@contextmanager
def one_iteration(model: nn.Module, rehearse: Callable[[], Any] | None = None) -> Iterator[None]:
    """Treat the training passes within as micro-batches of one iteration.

    An error within leaves all buffers as they were. Within an announced iteration this changes
    nothing.

    Args:
        model: The model; its :class:`PerIteration` parts are addressed.
        rehearse: Makes the passes of the iteration without a step; called where a part needs the
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
    """Return whether a part must know the statistics of all passes of its iteration."""
    return any(part.whole_batch for part in _parts(model))


@contextmanager
def each_pass(model: nn.Module) -> Iterator[None]:
    """Let each pass within move the buffers at once, also within an announced iteration."""
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
