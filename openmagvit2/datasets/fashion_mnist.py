"""Fashion-MNIST (Xiao et al., 2017), a data set that needs no download.

The embedded file contains the first 1,000 training and 200 test images of each class, in the order
of the original files.
"""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

from openmagvit2.checkpoint.hashing import digest
from openmagvit2.datasets.base import ImageDataset
from openmagvit2.errors import UserError, check_choice
from openmagvit2.io import usable
from openmagvit2.registry import DATASETS

EMBEDDED = Path(__file__).parent / 'embedded' / 'fashion_mnist_subset.npz'

# Maximum size of a file in bytes; that of 60,000 images has 47 million.
LARGEST = 100_000_000


@DATASETS.register_module()
class FashionMNIST(ImageDataset):
    """Gray images of 28x28 pixels, repeated to three channels; ten classes.

    Args:
        split: 'train' or 'test'.
        data_root: Folder with the four standard files (``train-images-idx3-ubyte.gz`` …, compressed
            or not, also in torchvision's subfolder ``FashionMNIST/raw``). By default, the embedded
            10,000 and 2,000 images, so that numbers are the same everywhere.
        num_images: Number of images to use, taken from the classes in turn; all by default.
        pipeline, seed: See :class:`ImageDataset`.

    Raises:
        UserError: ``split`` or ``num_images`` is out of range, or a file is missing, damaged or
            does not match the other.
    """

    classes = [
        'T-shirt',
        'Trouser',
        'Pullover',
        'Dress',
        'Coat',
        'Sandal',
        'Shirt',
        'Sneaker',
        'Bag',
        'Boot',
    ]

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
        check_choice('FashionMNIST: split', split, ('train', 'test'))
        if data_root is None:
            with np.load(EMBEDDED) as data:
                self.images, self.labels = data[f'{split}_images'], data[f'{split}_labels']
        else:
            prefix = dict(train='train', test='t10k')[split]
            self.images = _read_idx(_find(data_root, f'{prefix}-images-idx3-ubyte'), (28, 28))
            self.labels = _read_idx(_find(data_root, f'{prefix}-labels-idx1-ubyte'), ())
            if len(self.images) != len(self.labels):
                raise UserError(
                    f'FashionMNIST: {data_root} contains {len(self.images)} images and '
                    f'{len(self.labels)} labels of {prefix}; replace both files.'
                )
            if self.labels.max(initial=0) >= len(self.classes):
                raise UserError(
                    f'FashionMNIST: {data_root} has the label {self.labels.max()} in '
                    f'{prefix}-labels-idx1-ubyte, but labels go from 0 to 9; replace the file.'
                )
        if num_images is not None:
            if not 0 < num_images <= len(self.images):
                raise UserError(
                    f'FashionMNIST: num_images must be from 1 to {len(self.images)}, got '
                    f'{num_images}.'
                )
            keep = _classes_in_turn(self.labels)[:num_images]
            self.images, self.labels = self.images[keep], self.labels[keep]

    def __len__(self) -> int:
        return len(self.images)

    def all_labels(self) -> np.ndarray:
        """Return uint8 (N,)."""
        return self.labels

    def fingerprint(self) -> str:
        """Return the hash of the pixels."""
        return digest([self.images.tobytes()])

    def load(self, index: int) -> tuple[np.ndarray, int]:
        """Return uint8 (28, 28, 3) and the class."""
        return np.repeat(self.images[index][:, :, None], 3, axis=2), int(self.labels[index])


def _classes_in_turn(labels: np.ndarray) -> np.ndarray:
    """Return indices ordered so that each group of ten contains every class once."""
    rank = np.zeros(len(labels), dtype=int)
    for label in np.unique(labels):
        rank[labels == label] = np.arange((labels == label).sum())
    return np.lexsort((labels, rank))


def _find(data_root: str, name: str) -> Path:
    for folder in (Path(data_root), Path(data_root) / 'FashionMNIST' / 'raw'):
        for path in (folder / f'{name}.gz', folder / name):
            if usable(path).is_file():
                return path
    raise UserError(
        f'FashionMNIST: no {name}.gz in {data_root}; put the four standard files there or set '
        f'data_root=None.'
    )


def _read_idx(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """Read uint8 (N, *shape) from an idx file.

    The file consists of two zero bytes, 8 (the type uint8), the number of axes, their lengths
    (big-endian), and the data.
    """
    try:
        with (gzip.open if path.suffix == '.gz' else open)(path, 'rb') as file:
            # A limit, because a small .gz can unpack to any length.
            content = file.read(LARGEST)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(
            f'FashionMNIST: {path} cannot be read: {error}; replace the file.'
        ) from error
    axes = 1 + len(shape)
    header = 4 + 4 * axes
    if len(content) < header or content[:4] != bytes([0, 0, 8, axes]):
        raise UserError(
            f'FashionMNIST: {path} is not an idx file of bytes with {axes} axes; replace the file.'
        )
    lengths = np.frombuffer(content, '>u4', axes, offset=4).tolist()
    if tuple(lengths[1:]) != shape:
        raise UserError(
            f'FashionMNIST: {path} contains images of {lengths[1:]} pixels instead of '
            f'{list(shape)}; replace the file.'
        )
    if len(content) - header != math.prod(lengths):
        raise UserError(
            f'FashionMNIST: {path} should contain {math.prod(lengths)} bytes of data, but contains '
            f'{len(content) - header}; replace the file.'
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(lengths)
