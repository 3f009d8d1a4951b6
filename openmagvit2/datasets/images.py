"""Folders and lists of image files."""

import fnmatch
import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from mmengine.logging import print_log
from PIL import Image

from openmagvit2.datasets.base import ImageDataset
from openmagvit2.errors import UserError
from openmagvit2.registry import DATASETS

SUFFIXES = {'.jpg', '.jpeg', '.png', '.webp', '.bmp'}
# The official runs leave this file out: 1,281,166 of 1,281,167 training images remain (spec §6.1).
EXCLUDED = {'n06596364_9591.JPEG'}


class FileDataset(ImageDataset):
    """Images read from files.

    Args:
        samples: (path, label) of each image.
        on_error: What a file that cannot be read does. 'raise': its first use ends the run. 'skip': every file is read once at the start;
            those that cannot be are counted and named in the log and left out, so that ``len`` is the same exact number in every process.
        pipeline, seed: See :class:`ImageDataset`.

    Raises:
        UserError: Another word for ``on_error``; no file can be read.
    """

    def __init__(self, *, samples: list[tuple[Path, int]], on_error: str = 'raise', pipeline: list[dict] | None = None, seed: int = 0) -> None:
        super().__init__(pipeline=pipeline, seed=seed)
        if on_error not in ('raise', 'skip'):
            raise UserError(f"{type(self).__name__}: on_error must be 'raise' or 'skip', got {on_error!r}.")
        self.samples = _readable(samples) if on_error == 'skip' else samples

    def __len__(self) -> int:
        return len(self.samples)

    def all_labels(self) -> np.ndarray:
        """Integers (N,)."""
        return np.array([label for _, label in self.samples])

    def describe(self, index: int) -> str:
        """The file of an image."""
        return str(self.samples[index][0])

    def load(self, index: int) -> tuple[np.ndarray, int]:
        """uint8 (H, W, 3) RGB and the label.

        Raises:
            UserError: The file is not a readable image; the text names it.
        """
        path, label = self.samples[index]
        return _read(path), label


def _read(path: Path) -> np.ndarray:
    try:
        with Image.open(path) as image:
            return np.array(image.convert('RGB'))
    except Exception as error:  # Pillow fails in many ways
        raise UserError(f"Image {path} cannot be read: {error}. Replace or remove the file, or set the data set's on_error='skip'.") from error


def _readable(samples: list[tuple[Path, int]]) -> list[tuple[Path, int]]:
    """The samples without those that cannot be read, which the log names.

    All are read before the first is used: a file that is left out halfway would make another data set of each process and batch size.
    """

    def error_of(sample: tuple[Path, int]) -> str | None:
        try:
            _read(sample[0])
        except UserError as error:
            return str(error.__cause__)
        return None

    with ThreadPoolExecutor() as pool:
        errors = list(pool.map(error_of, samples))
    broken = [f'{path}: {error}' for (path, _), error in zip(samples, errors, strict=True) if error is not None]
    if broken:
        listed = ''.join(f'\n  {line}' for line in broken)
        print_log(f"on_error='skip' leaves out {len(broken)} of {len(samples)} images:{listed}", 'current', logging.WARNING)
    if len(broken) == len(samples):
        raise UserError(f'None of the {len(samples)} images can be read, the first is {broken[0]}.')
    return [sample for sample, error in zip(samples, errors, strict=True) if error is None]


def _folder(path: Path, what: str) -> Path:
    if not path.is_dir():
        raise UserError(
            f'Folder {path} does not exist; put {what} there, or name another folder in OPENMAGVIT2_DATA or in '
            '`train_dataloader.dataset.data_root` and `val_dataloader.dataset.data_root`, or another `split` there.'
        )
    return path


def _images(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob('*') if path.suffix.lower() in SUFFIXES)


@DATASETS.register_module()
class ImageFolder(FileDataset):
    """All images below a folder, sorted by path, without labels.

    Args:
        data_root: The folder.
        pattern: Shell pattern that a path below it must match; ``*`` crosses folders: ``'train*'`` takes ``train_1.png`` and
            ``train/1.png``.
        on_error: See :class:`FileDataset`.
        pipeline, seed: See :class:`ImageDataset`.
    """

    def __init__(
        self, *, data_root: str, pattern: str = '*', on_error: str = 'raise', pipeline: list[dict] | None = None, seed: int = 0
    ) -> None:
        folder = _folder(Path(data_root), 'images')
        samples = [(path, 0) for path in _images(folder) if fnmatch.fnmatch(path.relative_to(folder).as_posix(), pattern)]
        if not samples:
            raise UserError(f'Folder {folder} has no images ({", ".join(sorted(SUFFIXES))}) that match {pattern!r}.')
        super().__init__(samples=samples, on_error=on_error, pipeline=pipeline, seed=seed)


@DATASETS.register_module()
class ImageList(FileDataset):
    """Images named in a text file: a path and optionally, after spaces or a tab, a whole number as label, on each line.

    Args:
        list_file: The text file; empty lines do not count.
        data_root: Folder that the paths are relative to.
        on_error: See :class:`FileDataset`; a file that does not exist is an error either way.
        pipeline, seed: See :class:`ImageDataset`.
    """

    def __init__(
        self, *, list_file: str, data_root: str = '.', on_error: str = 'raise', pipeline: list[dict] | None = None, seed: int = 0
    ) -> None:
        if not Path(list_file).is_file():
            raise UserError(f'List file {list_file} does not exist.')
        samples, missing = [], []
        for number, line in enumerate(Path(list_file).read_text(encoding='utf-8').splitlines(), 1):
            if line.strip():
                # Names may hold spaces: only a whole number at the end is a label.
                name, *label = line.strip().rsplit(maxsplit=1)
                name, label = (name, label[0]) if label and label[0].removeprefix('-').isdecimal() else (line.strip(), '0')
                path = Path(data_root) / name
                samples.append((path, int(label)))
                if not path.is_file():
                    missing.append(f'line {number}: {path}')
        if missing:
            raise UserError(f'{list_file} names {len(missing)} files that do not exist ({_first(missing)}); mend the list or data_root.')
        if not samples:
            raise UserError(f'List file {list_file} names no image.')
        super().__init__(samples=samples, on_error=on_error, pipeline=pipeline, seed=seed)


@DATASETS.register_module()
class ImageNet(FileDataset):
    """``data_root/<split>/<class folder>/*``; the label is the rank of the class folder's sorted name.

    Args:
        data_root: Folder with the splits.
        split: Name of a folder below it; 'train' leaves out ``EXCLUDED``, as the official runs do.
        on_error: See :class:`FileDataset`.
        pipeline, seed: See :class:`ImageDataset`.
    """

    def __init__(
        self, *, data_root: str, split: str = 'train', on_error: str = 'raise', pipeline: list[dict] | None = None, seed: int = 0
    ) -> None:
        folder = _folder(Path(data_root) / split, 'ImageNet, a folder of images for each class,')
        self.classes = sorted(path.name for path in folder.iterdir() if path.is_dir())
        images = {name: _images(folder / name) for name in self.classes}
        if not any(images.values()):
            raise UserError(f'Folder {folder} has no class folders with images ({", ".join(sorted(SUFFIXES))}) in them.')
        empty = [name for name in self.classes if not images[name]]
        if empty:
            # A class may be empty on purpose, but a stray folder shifts the labels of all classes after it.
            text = f'{folder}: {len(empty)} of {len(images)} folders hold no images and count as classes: {_first(empty)}'
            print_log(text, 'current', logging.WARNING)
        excluded = EXCLUDED if split == 'train' else set()
        samples = [(path, label) for label, paths in enumerate(images.values()) for path in paths if path.name not in excluded]
        super().__init__(samples=samples, on_error=on_error, pipeline=pipeline, seed=seed)


@DATASETS.register_module()
class Coco(FileDataset):
    """The images of MS-COCO, ``data_root/<split>/*``, sorted by name, without labels; annotations are neither needed nor read.

    Args:
        data_root: Folder with the splits.
        split: Name of a folder below it.
        on_error: See :class:`FileDataset`.
        pipeline, seed: See :class:`ImageDataset`.
    """

    def __init__(
        self, *, data_root: str, split: str = 'val2017', on_error: str = 'raise', pipeline: list[dict] | None = None, seed: int = 0
    ) -> None:
        folder = _folder(Path(data_root) / split, f'the images of COCO {split}')
        samples = [(path, 0) for path in _images(folder)]
        if not samples:
            raise UserError(f'Folder {folder} has no images ({", ".join(sorted(SUFFIXES))}).')
        super().__init__(samples=samples, on_error=on_error, pipeline=pipeline, seed=seed)


def _first(names: list[str]) -> str:
    """The first few."""
    return ', '.join(names[:3]) + (', …' if len(names) > 3 else '')
