"""Images in parquet files and on the Hugging Face hub, read by the package ``datasets``."""

import numpy as np

from openmagvit2.datasets.base import ImageDataset
from openmagvit2.datasets.fingerprint import fingerprint_of
from openmagvit2.datasets.hugging_face_files import (
    class_names,
    label_of,
    load_rows,
    local_files,
    read_row,
)
from openmagvit2.datasets.labels import UNLABELED
from openmagvit2.io import Color, to_color
from openmagvit2.registry import DATASETS


@DATASETS.register_module()
class HFDataset(ImageDataset):
    """The rows of parquet files, or of a data set on the Hugging Face hub, by index.

    ``datasets`` copies the rows once to its cache (``HF_HOME``) and maps them from there, so that
    loader workers share the memory. Local files need no network.

    Args:
        path: A parquet file, a folder of them, a pattern such as ``data/train-*.parquet``, or a
            name on the hub such as ``uoft-cs/cifar10``. A relative path that exists is local.
        split: Split of a data set on the hub; local files are a single split.
        image: Column of the images: bytes of image files, or ``datasets.Image``.
        label: Column of class indices; -1 or null for no class. None: no labels.
        revision: Commit, tag or branch on the hub.
        background: Color behind transparent pixels: a name, a code, or three numbers up to 255.
        pipeline, seed: See :class:`ImageDataset`.

    Raises:
        UserError: The package is missing, nothing can be loaded, or a column is missing.
    """

    def __init__(
        self,
        *,
        path: str,
        split: str = 'train',
        image: str = 'image',
        label: str | None = 'label',
        revision: str | None = None,
        background: Color = 'white',
        pipeline: list[dict] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(pipeline=pipeline, seed=seed)
        self.path, self.image, self.label = path, image, label
        self.background = to_color(background)
        self.rows = load_rows(type(self).__name__, path, split, image, label, revision)
        self.classes = class_names(self.rows, label)

    def __len__(self) -> int:
        return len(self.rows)

    def all_labels(self) -> np.ndarray:
        """Return int64 (N,), without reading an image.

        Raises:
            UserError: A label is not an integer.
        """
        if self.label is None:
            return np.full(len(self), UNLABELED, np.int64)
        column = self.rows.select_columns([self.label])[:][self.label]
        numbers = (label_of(x, self.label, self.describe(i)) for i, x in enumerate(column))
        return np.fromiter(numbers, np.int64)

    def describe(self, index: int) -> str:
        """Return the index of a row and the path."""
        return f'row {index} of {self.path}'

    def fingerprint(self) -> str | None:
        """Return a hash of the names, sizes and times of local files; None for the hub."""
        files = local_files(self.path)
        return fingerprint_of(files) if files else None

    def load(self, index: int) -> tuple[np.ndarray, int]:
        """Return uint8 (H, W, 3) RGB and the label.

        Raises:
            UserError: The row is not a readable image; the message names it.
        """
        row = self.rows[int(index)]
        return read_row(row, self.image, self.label, self.background, self.describe(index))
