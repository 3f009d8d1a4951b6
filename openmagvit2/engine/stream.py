"""An endless stream of images with a length, which mmengine asks for."""

from collections.abc import Iterator
from typing import Any

from torch.utils.data import DataLoader


class StreamLoader:
    """The loader of an endless stream, as long as its training.

    mmengine's Runner asks for the length of a loader when it builds schedules, whatever they count;
    a stream has none.

    Args:
        loader: The loader, which gives all else.
        length: Iterations of the training.
    """

    def __init__(self, loader: DataLoader, length: int) -> None:
        self.loader, self.length = loader, length

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[Any]:
        return iter(self.loader)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loader, name)
