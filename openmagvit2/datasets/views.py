"""Several views of each image as one data set, for one data loader."""

from collections.abc import Iterator, Sequence

from torch.utils.data import Dataset, Sampler

from openmagvit2.datasets.base import ImageDataset
from openmagvit2.errors import UserError


class Views(Dataset):
    """Images by (view, index), all with the shape of the first.

    Args:
        views: For each view, the data set with its transforms, and the epoch of its random numbers.
    """

    def __init__(self, views: Sequence[tuple[ImageDataset, int]]) -> None:
        self.views = views
        dataset, epoch = views[0]
        self.shape = dataset[0, epoch]['image'].shape

    @property
    def pictures(self) -> ImageDataset:
        """The data set whose views these are."""
        return self.views[0][0]

    def __len__(self) -> int:
        return len(self.views) * len(self.pictures)

    def __getitem__(self, key: tuple[int, int]) -> dict:
        """See :meth:`ImageDataset.__getitem__`.

        Raises:
            UserError: The image has another shape than the first.
        """
        view, index = key
        dataset, epoch = self.views[view]
        sample = dataset[index, epoch]
        if sample['image'].shape != self.shape:
            (height, width), (first_height, first_width) = sample['image'].shape[1:], self.shape[1:]
            raise UserError(
                f'Image {index} of the data set is {height}x{width}, but the first is '
                f"{first_height}x{first_width}; tokens need one size: set the data set's pipeline "
                f'to Resize and a crop.'
            )
        return sample


class ViewBatches(Sampler):
    """Batches of (view, index), block by block, and view by view within a block.

    A batch contains one view of one block, so it does not depend on which blocks a process has.

    Args:
        blocks: Indices of the images of each block.
        num_views: Number of views of each image.
        batch_size: The last batch of a view may be smaller.
    """

    def __init__(self, blocks: Sequence[range], num_views: int, batch_size: int) -> None:
        self.blocks, self.num_views, self.batch_size = blocks, num_views, batch_size

    def __len__(self) -> int:
        return sum(-(-len(rows) // self.batch_size) for rows in self.blocks) * self.num_views

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        for rows in self.blocks:
            for view in range(self.num_views):
                for start in range(0, len(rows), self.batch_size):
                    yield [(view, index) for index in rows[start : start + self.batch_size]]
