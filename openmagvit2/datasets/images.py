"""Images in folders."""

import fnmatch
import logging
from pathlib import Path
from typing import Any

from mmengine.logging import print_log

from openmagvit2.datasets.files import FileDataset
from openmagvit2.datasets.labels import UNLABELED
from openmagvit2.errors import UserError, few
from openmagvit2.io import usable
from openmagvit2.io.image_files import find_folders, find_images
from openmagvit2.registry import DATASETS

# The official runs skip this file: 1,281,166 of 1,281,167 training images remain
# (docs/reference/specification.md, Data).
EXCLUDED = {'n06596364_9591.JPEG'}


@DATASETS.register_module()
class ImageFolder(FileDataset):
    """All images below a folder, sorted by path, without labels (label -1).

    Args:
        data_root: The folder; see :mod:`openmagvit2.io.image_files` for what counts as an image.
        pattern: Shell pattern that relative paths must match; ``*`` also matches ``/``, so that
            ``'train*'`` includes ``train_1.png`` and ``train/1.png``.
        options: ``on_error``, ``background``, ``pipeline`` and ``seed`` of :class:`FileDataset`.

    Raises:
        UserError: No image in the folder matches ``pattern``.
    """

    def __init__(self, *, data_root: str, pattern: str = '*', **options: Any) -> None:
        folder = _folder(Path(data_root), 'images')
        samples = [
            (path, UNLABELED)
            for path in find_images(folder)
            if fnmatch.fnmatchcase(path.relative_to(folder).as_posix(), pattern)
        ]
        if not samples:
            raise UserError(f'Folder {folder} holds no images that match {pattern!r}.')
        super().__init__(samples, **options)


@DATASETS.register_module()
class ImageNet(FileDataset):
    """``data_root/<split>/<class folder>/**``; a label is the rank of its class folder's name.

    Names are sorted as text, as in torchvision's ``ImageFolder``: folders '0' to '10' have the
    order '0', '1', '10', '2'. A class folder may be a link, and may have subfolders.

    Args:
        data_root: Folder with the splits.
        split: Name of a subfolder; 'train' skips ``EXCLUDED``, like the official runs.
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
            # It may be intended, but a stray folder shifts the labels of all that follow.
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
        split: Name of a subfolder.
        options: ``on_error``, ``background``, ``pipeline`` and ``seed`` of :class:`FileDataset`.
    """

    def __init__(self, *, data_root: str, split: str = 'val2017', **options: Any) -> None:
        folder = _folder(Path(data_root) / split, f'the images of COCO {split}')
        samples = [(path, UNLABELED) for path in find_images(folder)]
        super().__init__(samples, **options)


def _folder(path: Path, what: str) -> Path:
    if not usable(path).is_dir():
        raise UserError(
            f'Folder {path} does not exist; put {what} there, or name another folder in '
            'OPENMAGVIT2_DATA or in `train_dataloader.dataset.data_root` and '
            '`val_dataloader.dataset.data_root`, or another `split` there.'
        )
    return path
