"""The order of training samples."""

import math
from collections.abc import Iterator, Sized

import torch
from mmengine.dist import get_dist_info
from torch.utils.data import Sampler

from openmagvit2.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class ResumableInfiniteSampler(Sampler):
    """Yield (index, epoch) endlessly, in an order that is a function of seed and position.

    Positions count samples over all processes. Process r of W takes the positions p with
    p mod W = r, so that a global batch has the same samples for any number of processes.

    Args:
        dataset: An object with a length.
        seed: Random seed of the order.
        shuffle: Shuffle each epoch; otherwise keep the order of the data set.
    """

    def __init__(self, dataset: Sized, seed: int = 0, shuffle: bool = True) -> None:
        self.size = len(dataset)
        self.seed = seed
        self.shuffle = shuffle
        self.start = 0
        self.rank, self.world_size = get_dist_info()

    def seek(self, samples: int) -> None:
        """Let the next iterator start after ``samples`` samples, counted over all processes."""
        self.start = samples

    def __len__(self) -> int:
        """Return the number of samples per process and epoch."""
        return math.ceil(self.size / self.world_size)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        epoch, offset = divmod(self.start + self.rank, self.size)
        while True:
            order = self._order(epoch)
            while offset < self.size:
                yield order[offset], epoch
                offset += self.world_size
            # With more processes than images, a process skips whole epochs.
            skipped, offset = divmod(offset, self.size)
            epoch += skipped

    def _order(self, epoch: int) -> list[int]:
        if not self.shuffle:
            return list(range(self.size))
        return torch.randperm(
            self.size, generator=torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        ).tolist()
