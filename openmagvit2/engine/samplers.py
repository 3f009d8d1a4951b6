"""Order of the training samples."""

import math
from collections.abc import Iterator, Sized

import torch
from mmengine.dist import get_dist_info
from torch.utils.data import Sampler

from openmagvit2.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class ResumableInfiniteSampler(Sampler):
    """Endless shuffled order as a function of (seed, epoch, position), so that a resume can seek.

    The position counts samples over all processes; process r of W takes the positions p with
    p mod W = r, so a global batch has the same samples for any number of processes. Yields (index,
    epoch).

    Args:
        dataset: Any object with a length.
        seed: Random seed of the order.
        shuffle: False gives the order of the data set.
    """

    def __init__(self, dataset: Sized, seed: int = 0, shuffle: bool = True) -> None:
        self.size = len(dataset)
        self.seed = seed
        self.shuffle = shuffle
        self.start = 0
        self.rank, self.world_size = get_dist_info()

    def seek(self, samples: int) -> None:
        """Start the next iteration after ``samples`` samples, counted over all processes."""
        self.start = samples

    def __len__(self) -> int:
        """Return the number of samples of one process in an epoch."""
        return math.ceil(self.size / self.world_size)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        epoch, offset = divmod(self.start + self.rank, self.size)
        while True:
            order = self._order(epoch)
            while offset < self.size:
                yield order[offset], epoch
                offset += self.world_size
            # More processes than images skip whole epochs.
            skipped, offset = divmod(offset, self.size)
            epoch += skipped

    def _order(self, epoch: int) -> list[int]:
        if not self.shuffle:
            return list(range(self.size))
        return torch.randperm(
            self.size, generator=torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        ).tolist()
