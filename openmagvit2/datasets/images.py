"""Data sets of image files in folders and lists."""

import fnmatch
import logging
import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.logging import print_log
from PIL import Image

from openmagvit2.checkpoint.hashing import digest
from openmagvit2.datasets.base import ImageDataset
from openmagvit2.datasets.labels import LARGEST_LABEL, UNLABELLED
from openmagvit2.datasets.packed import PackedSamples
from openmagvit2.errors import UserError, check_choice, few
from openmagvit2.io import Colour, UnreadableImage, read_lines, read_picture, to_colour, usable
from openmagvit2.io.image_files import find_folders, find_images
from openmagvit2.registry import DATASETS

# The official runs leave this file out: 1,281,166 of 1,281,167 training images remain
# (docs/reference/specification.md, Data).
EXCLUDED = {'n06596364_9591.JPEG'}


class FileDataset(ImageDataset):
    """Images read from files by :func:`openmagvit2.io.read_picture`.

    Args:
        samples: (path, label) of each image.
        on_error: What to do with an unreadable file. 'raise': raise an error at its first use.
            'skip': read every file once at the start, and log and leave out the unreadable ones,
            so that ``len`` is exact and the same in every process.
        background: Colour behind transparent pixels: a name or code, or three numbers up to 255.
        pipeline, seed: See :class:`ImageDataset`.

    Raises:
        UserError: ``on_error`` or ``background`` is invalid; no file can be read.
    """

    def __init__(
        self,
        samples: list[tuple[Path, int]],
        /,
        *,
        on_error: str = 'raise',
        background: Colour = 'white',
        pipeline: list[dict] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(pipeline=pipeline, seed=seed)
        check_choice(f'{type(self).__name__}: on_error', on_error, ('raise', 'skip'))
        self.background = to_colour(background)
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
        lines = (
            f'{path}\0{found.st_size}\0{found.st_mtime_ns}\n'
            for path, found in ((path, path.stat()) for path, _ in self.samples)
        )
        return digest(line.encode('utf-8', 'surrogateescape') for line in lines)

    def load(self, index: int) -> tuple[np.ndarray, int]:
        """Return uint8 (H, W, 3) RGB and the label.

        Raises:
            UserError: The file is not a readable image; the text names it.
        """
        image, label = self._read(index)
        return np.array(image), label

    def read(self, index: int) -> tuple[Image.Image, int]:
        """Return the same with an image of Pillow's, which is not copied."""
        return self._read(index)

    def _read(self, index: int) -> tuple[Image.Image, int]:
        path, label = self.samples[index]
        try:
            return read_picture(path, self.background), label
        except UnreadableImage as error:
            raise error.with_way_out("set the data set's on_error='skip'") from error

    def _readable(self, samples: list[tuple[Path, int]]) -> list[tuple[Path, int]]:
        """Return the samples that can be read; log the others.

        All files are read before the first is used: if a file were left out later, the data set
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


def _folder(path: Path, what: str) -> Path:
    if not usable(path).is_dir():
        raise UserError(
            f'Folder {path} does not exist; put {what} there, or name another folder in '
            'OPENMAGVIT2_DATA or in `train_dataloader.dataset.data_root` and '
            '`val_dataloader.dataset.data_root`, or another `split` there.'
        )
    return path


@DATASETS.register_module()
class ImageFolder(FileDataset):
    """All images below a folder, sorted by path, without labels (label -1).

    Args:
        data_root: The folder; see :mod:`openmagvit2.io.image_files` for what counts as an image.
        pattern: Shell pattern that a path below it must match; ``*`` crosses folders:
            ``'train*'`` takes ``train_1.png`` and ``train/1.png``.
        options: ``on_error``, ``background``, ``pipeline`` and ``seed`` of :class:`FileDataset`.

    Raises:
        UserError: No image in the folder matches ``pattern``.
    """

    def __init__(self, *, data_root: str, pattern: str = '*', **options: Any) -> None:
        folder = _folder(Path(data_root), 'images')
        samples = [
            (path, UNLABELLED)
            for path in find_images(folder)
            if fnmatch.fnmatchcase(path.relative_to(folder).as_posix(), pattern)
        ]
        if not samples:
            raise UserError(f'Folder {folder} holds no images that match {pattern!r}.')
        super().__init__(samples, **options)


@DATASETS.register_module()
class ImageList(FileDataset):
    """Images named in a text file: a path on each line, and a label after it on all or on none.

    A label is a whole number after spaces or a tab: a class from 0, or -1 for none. Without labels,
    all are -1.

    Args:
        list_file: The text file, UTF-8; empty lines and spaces around a line do not count.
        data_root: Folder that the paths are relative to.
        options: ``on_error``, ``background``, ``pipeline`` and ``seed`` of :class:`FileDataset`; a
            file that does not exist is an error whatever ``on_error`` says.

    Raises:
        UserError: The list is missing, empty or not UTF-8, or names files that do not exist; some
            lines have a label and others none.
    """

    def __init__(self, *, list_file: str, data_root: str = '.', **options: Any) -> None:
        if not usable(list_file).is_file():
            raise UserError(f'List file {list_file} does not exist.')
        lines = [(number, *_name_and_label(line)) for number, line in read_lines(list_file)]
        if not lines:
            raise UserError(f'List file {list_file} names no image.')
        _check_labels(list_file, [(number, label) for number, _, label in lines])
        samples = [
            (Path(data_root) / name, UNLABELLED if label is None else label)
            for _, name, label in lines
        ]
        missing = [
            f'line {number}: {path}'
            for (number, *_), (path, _) in zip(lines, samples, strict=True)
            # False too where the system refuses a name, as one that is too long.
            if not os.path.isfile(path)
        ]
        if missing:
            raise UserError(
                f'{list_file} names {len(missing)} files that do not exist ({few(missing)}); '
                f'correct the list or data_root.'
            )
        self.max_label = max(label for _, label in samples)
        super().__init__(samples, **options)

    @property
    def num_classes(self) -> int | None:
        """The largest label of the list + 1; None without labels."""
        return self.max_label + 1 if self.max_label >= 0 else None


def _name_and_label(line: str) -> tuple[str, int | None]:
    """Split a line; names may hold spaces, so only an integer at its end is a label."""
    found = re.fullmatch(r'(.*\S)\s+(-?[0-9]+)', line)
    return (found[1], int(found[2])) if found else (line, None)


def _check_labels(list_file: str, labels: list[tuple[int, int | None]]) -> None:
    first, wanted = labels[0]
    for number, label in labels:
        if abs(label or 0) > LARGEST_LABEL:
            raise UserError(f'{list_file}, line {number}: {label} is no class.')
        if (label is None) != (wanted is None):
            has = 'no label' if label is None else 'a label'
            other = 'a label' if label is None else 'none'
            raise UserError(
                f'{list_file}, line {number} has {has} and line {first} has {other}; give every '
                f'line a label (-1 for none), or no line.'
            )


@DATASETS.register_module()
class ImageNet(FileDataset):
    """``data_root/<split>/<class folder>/**``; a label is the rank of its class folder's name.

    Names are sorted as text, as in torchvision's ``ImageFolder``: folders '0' to '10' have the
    order '0', '1', '10', '2'. A class folder may be a link, and may hold more folders.

    Args:
        data_root: Folder with the splits.
        split: Name of a folder below it; 'train' leaves out ``EXCLUDED``, as the official runs do.
        options: ``on_error``, ``background``, ``pipeline`` and ``seed`` of :class:`FileDataset`.

    Raises:
        UserError: There are no class folders with images.
    """

    def __init__(self, *, data_root: str, split: str = 'train', **options: Any) -> None:
        what = 'ImageNet, a folder of images for each class,'
        folder = _folder(Path(data_root) / split, what)
        self.classes = find_folders(folder)
        images = {name: find_images(folder / name, least=0) for name in self.classes}
        empty = [name for name in self.classes if not images[name]]
        if len(empty) == len(images):
            raise UserError(f'Folder {folder} has no class folders with images in them.')
        if empty:
            # It may be intended, but a stray folder shifts the labels of all that follow it.
            text = f'{folder}: {len(empty)} of {len(images)} folders hold no images and count as '
            print_log(f'{text}classes: {few(empty)}', 'current', logging.WARNING)
        excluded = EXCLUDED if split == 'train' else set()
        samples = [
            (path, label)
            for label, paths in enumerate(images.values())
            for path in paths
            if path.name not in excluded
        ]
        super().__init__(samples, **options)


@DATASETS.register_module()
class Coco(FileDataset):
    """The images of MS-COCO, ``data_root/<split>/*``, sorted by name, without labels (label -1).

    Annotations are neither needed nor read.

    Args:
        data_root: Folder with the splits.
        split: Name of a folder below it.
        options: ``on_error``, ``background``, ``pipeline`` and ``seed`` of :class:`FileDataset`.
    """

    def __init__(self, *, data_root: str, split: str = 'val2017', **options: Any) -> None:
        folder = _folder(Path(data_root) / split, f'the images of COCO {split}')
        samples = [(path, UNLABELLED) for path in find_images(folder)]
        super().__init__(samples, **options)
