"""The base class of data sets of image files."""

import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from mmengine.logging import print_log
from PIL import Image

from openmagvit2.datasets.base import ImageDataset
from openmagvit2.datasets.fingerprint import fingerprint_of
from openmagvit2.datasets.packed import PackedSamples
from openmagvit2.errors import UserError, check_choice
from openmagvit2.io import Color, UnreadableImage, read_picture, to_color


class FileDataset(ImageDataset):
    """Images read from files by :func:`openmagvit2.io.read_picture`.

    Args:
        samples: (path, label) of each image.
        on_error: What to do with an unreadable file. 'raise': raise an error at its first use.
            'skip': read every file once at the start, and log and skip the unreadable ones, so that
            ``len`` is exact and the same in every process.
        background: Color behind transparent pixels: a name, a code, or three numbers up to 255.
        pipeline, seed: See :class:`ImageDataset`.

    Raises:
        UserError: ``on_error`` or ``background`` is invalid, or no file can be read.
    """

    def __init__(
        self,
        samples: list[tuple[Path, int]],
        /,
        *,
        on_error: str = 'raise',
        background: Color = 'white',
        pipeline: list[dict] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(pipeline=pipeline, seed=seed)
        check_choice(f'{type(self).__name__}: on_error', on_error, ('raise', 'skip'))
        self.background = to_color(background)
        self.samples = PackedSamples(self._readable(samples) if on_error == 'skip' else samples)

    def __len__(self) -> int:
        return len(self.samples)

    def all_labels(self) -> np.ndarray:
        """Return int64 (N,)."""
        return self.samples.labels

    def describe(self, index: int) -> str:
        """Return the path of an image."""
        return str(self.samples[index][0])

    def fingerprint(self) -> str:
        """Return a hash of the names, sizes and modification times of the files."""
        return fingerprint_of(path for path, _ in self.samples)

    def load(self, index: int) -> tuple[np.ndarray, int]:
        """Return uint8 (H, W, 3) RGB and the label.

        Raises:
            UserError: The file is not a readable image; the message names it.
        """
        image, label = self._read(index)
        return np.array(image), label

    def read(self, index: int) -> tuple[Image.Image, int]:
        """Return the same with a Pillow image, without a copy."""
        return self._read(index)

    # Separate from `read`, which in a subclass may call an overridden `load` that calls ours.
    def _read(self, index: int) -> tuple[Image.Image, int]:
        path, label = self.samples[index]
        try:
            return read_picture(path, self.background), label
        except UnreadableImage as error:
            raise error.with_way_out("set the data set's on_error='skip'") from error

    def _readable(self, samples: list[tuple[Path, int]]) -> list[tuple[Path, int]]:
        """Return the samples that can be read; log the others.

        All files are read before the first is used: if files were skipped later, the data set
        would differ between processes and batch sizes.
        """
        with ThreadPoolExecutor() as pool:
            errors = list(pool.map(self._error_of, samples))
        pairs = list(zip(samples, errors, strict=True))
        broken = [f'{path}: {error}' for (path, _), error in pairs if error]
        if broken:
            listed = ''.join(f'\n  {line}' for line in broken)
            text = f"on_error='skip' leaves out {len(broken)} of {len(samples)} images:{listed}"
            print_log(text, 'current', logging.WARNING)
        if len(broken) == len(samples):
            text = f'None of the {len(samples)} images can be read, the first is {broken[0]}.'
            raise UserError(text)
        return [sample for sample, error in pairs if not error]

    def _error_of(self, sample: tuple[Path, int]) -> str | None:
        try:
            read_picture(sample[0], self.background)
        except UnreadableImage as error:
            return error.reason
        return None
