"""A loader of an endless stream with a length, which mmengine needs."""

from collections.abc import Iterator
from typing import Any

from torch.utils.data import DataLoader


class StreamLoader:
    """A loader of an endless stream that is as long as its training.

    mmengine's Runner needs the length of a loader to build schedules, even those by iteration.

    Args:
        loader: The loader, which provides everything else.
        length: Number of iterations of the training.
    """

    def __init__(self, loader: DataLoader, length: int) -> None:
        self.loader, self.length = loader, length

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[Any]:
        return iter(self.loader)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loader, name)
