"""Fashion-MNIST (Xiao et al., 2017): the data set that needs no download.

The embedded file holds the first 1,000 training and 200 test images of each class, in the order of the original files.
"""

import gzip
from pathlib import Path

import numpy as np

from openmagvit2.datasets.base import ImageDataset
from openmagvit2.registry import DATASETS

EMBEDDED = Path(__file__).parent / 'embedded' / 'fashion_mnist_subset.npz'


@DATASETS.register_module()
class FashionMNIST(ImageDataset):
    """Gray images of 28x28 pixels, repeated to three channels; ten classes.

    Args:
        split: 'train' or 'test'.
        data_root: Folder with the four standard files (``train-images-idx3-ubyte.gz`` …, zipped or not, also in torchvision's
            ``FashionMNIST/raw`` below it). None takes the embedded 10,000 and 2,000 images, so that numbers are the same everywhere.
        num_images: Only the first so many, the classes in turn; all by default.
        pipeline, seed: See :class:`ImageDataset`.
    """

    classes = ['T-shirt', 'Trouser', 'Pullover', 'Dress', 'Coat', 'Sandal', 'Shirt', 'Sneaker', 'Bag', 'Boot']

    def __init__(
        self,
        *,
        split: str = 'train',
        data_root: str | None = None,
        num_images: int | None = None,
        pipeline: list[dict] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(pipeline=pipeline, seed=seed)
        if split not in ('train', 'test'):
            raise ValueError(f"FashionMNIST: split must be 'train' or 'test', got {split!r}.")
        if data_root is None:
            with np.load(EMBEDDED) as data:
                self.images, self.labels = data[f'{split}_images'], data[f'{split}_labels']
        else:
            prefix = dict(train='train', test='t10k')[split]
            self.images = _read(data_root, f'{prefix}-images-idx3-ubyte', 16).reshape(-1, 28, 28)
            self.labels = _read(data_root, f'{prefix}-labels-idx1-ubyte', 8)
        if num_images is not None:
            if not 0 < num_images <= len(self.images):
                raise ValueError(f'FashionMNIST: num_images must be from 1 to {len(self.images)}, got {num_images}.')
            keep = _classes_in_turn(self.labels)[:num_images]
            self.images, self.labels = self.images[keep], self.labels[keep]

    def __len__(self) -> int:
        return len(self.images)

    def load(self, index: int) -> tuple[np.ndarray, int]:
        """uint8 (28, 28, 3) and the class."""
        return np.repeat(self.images[index][:, :, None], 3, axis=2), int(self.labels[index])


def _classes_in_turn(labels: np.ndarray) -> np.ndarray:
    """Positions ordered so that each run of ten holds every class once."""
    rank = np.zeros(len(labels), dtype=int)
    for label in np.unique(labels):
        rank[labels == label] = np.arange((labels == label).sum())
    return np.lexsort((labels, rank))


def _read(data_root: str, name: str, header: int) -> np.ndarray:
    for folder in (Path(data_root), Path(data_root) / 'FashionMNIST' / 'raw'):
        for path, opener in ((folder / f'{name}.gz', gzip.open), (folder / name, open)):
            if path.is_file():
                with opener(path, 'rb') as file:
                    return np.frombuffer(file.read(), np.uint8, offset=header)
    raise ValueError(f'FashionMNIST: no {name}.gz in {data_root}; put the four standard files there or set data_root=None.')
