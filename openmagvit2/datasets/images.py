"""Folders and lists of image files."""

import fnmatch
from pathlib import Path

import numpy as np
from PIL import Image

from openmagvit2.datasets.base import ImageDataset
from openmagvit2.registry import DATASETS

SUFFIXES = {'.jpg', '.jpeg', '.png', '.webp', '.bmp'}
# The official runs leave this file out: 1,281,166 of 1,281,167 training images remain (spec §6.1).
EXCLUDED = {'n06596364_9591.JPEG'}


class FileDataset(ImageDataset):
    """Images read from ``self.samples``, a list of (path, label)."""

    samples: list[tuple[Path, int]]

    def __len__(self) -> int:
        return len(self.samples)

    def load(self, index: int) -> tuple[np.ndarray, int]:
        """uint8 (H, W, 3) RGB and the label.

        Raises:
            ValueError: The file is not a readable image; the text names it.
        """
        path, label = self.samples[index]
        try:
            with Image.open(path) as image:
                return np.array(image.convert('RGB')), label
        except (OSError, SyntaxError) as error:
            raise ValueError(f'Image {path} cannot be read: {error}. Remove or replace the file.') from error


def _folder(path: Path, what: str) -> Path:
    if not path.is_dir():
        raise ValueError(
            f'Folder {path} does not exist; put {what} there, or name another folder in OPENMAGVIT2_DATA or in '
            '`train_dataloader.dataset.data_root` and `val_dataloader.dataset.data_root`.'
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
        pipeline, seed: See :class:`ImageDataset`.
    """

    def __init__(self, *, data_root: str, pattern: str = '*', pipeline: list[dict] | None = None, seed: int = 0) -> None:
        super().__init__(pipeline=pipeline, seed=seed)
        folder = _folder(Path(data_root), 'images')
        self.samples = [(path, 0) for path in _images(folder) if fnmatch.fnmatch(path.relative_to(folder).as_posix(), pattern)]
        if not self.samples:
            raise ValueError(f'Folder {folder} has no images ({", ".join(sorted(SUFFIXES))}) that match {pattern!r}.')


@DATASETS.register_module()
class ImageList(FileDataset):
    """Images named in a text file: a path, relative to ``data_root``, and optionally a label, on each line."""

    def __init__(self, *, list_file: str, data_root: str = '.', pipeline: list[dict] | None = None, seed: int = 0) -> None:
        super().__init__(pipeline=pipeline, seed=seed)
        if not Path(list_file).is_file():
            raise ValueError(f'List file {list_file} does not exist.')
        self.samples = []
        for number, line in enumerate(Path(list_file).read_text(encoding='utf-8').splitlines(), 1):
            if line.strip():
                name, _, label = line.strip().rpartition(' ')
                name, label = (name, label) if name and label.lstrip('-').isdigit() else (line.strip(), '0')
                path = Path(data_root) / name
                if not path.is_file():
                    raise ValueError(f'{list_file}, line {number}: {path} does not exist.')
                self.samples.append((path, int(label)))
        if not self.samples:
            raise ValueError(f'List file {list_file} names no image.')


@DATASETS.register_module()
class ImageNet(FileDataset):
    """``data_root/<split>/<class folder>/*``; the label is the rank of the class folder's sorted name."""

    def __init__(self, *, data_root: str, split: str = 'train', pipeline: list[dict] | None = None, seed: int = 0) -> None:
        super().__init__(pipeline=pipeline, seed=seed)
        folder = _folder(Path(data_root) / split, 'ImageNet, a folder of images for each class,')
        self.classes = sorted(path.name for path in folder.iterdir() if path.is_dir())
        self.samples = [
            (path, label)
            for label, name in enumerate(self.classes)
            for path in _images(folder / name)
            if path.name not in EXCLUDED
        ]
        if not self.samples:
            raise ValueError(f'Folder {folder} has no class folders with images in them.')
