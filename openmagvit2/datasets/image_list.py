"""Images listed in a text file."""

import os
import re
from pathlib import Path
from typing import Any

from openmagvit2.datasets.files import FileDataset
from openmagvit2.datasets.labels import LARGEST_LABEL, UNLABELED
from openmagvit2.errors import UserError, few
from openmagvit2.io import read_lines, usable
from openmagvit2.registry import DATASETS


@DATASETS.register_module()
class ImageList(FileDataset):
    """Images listed in a text file: each line has a path, and either all or no lines have a label.

    A label is an integer after spaces or a tab: a class, or -1 for none, which is the default.

    Args:
        list_file: The text file, UTF-8; empty lines and spaces around a line are ignored.
        data_root: Folder that the paths are relative to.
        options: ``on_error``, ``background``, ``pipeline`` and ``seed`` of :class:`FileDataset`; a
            file that does not exist is always an error, even with ``on_error='skip'``.

    Raises:
        UserError: The list is missing, empty or not UTF-8, lists files that do not exist, or has
            labels on some lines only.
    """

    def __init__(self, *, list_file: str, data_root: str = '.', **options: Any) -> None:
        if not usable(list_file).is_file():
            raise UserError(f'List file {list_file} does not exist.')
        lines = [(number, *_name_and_label(line)) for number, line in read_lines(list_file)]
        if not lines:
            raise UserError(f'List file {list_file} names no image.')
        _check_labels(list_file, [(number, label) for number, _, label in lines])
        samples = [
            (Path(data_root) / name, UNLABELED if label is None else label)
            for _, name, label in lines
        ]
        missing = [
            f'line {number}: {path}'
            for (number, *_), (path, _) in zip(lines, samples, strict=True)
            # Also False if the system rejects a name, such as one that is too long.
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
        """The largest label + 1; None without labels."""
        return self.max_label + 1 if self.max_label >= 0 else None


def _name_and_label(line: str) -> tuple[str, int | None]:
    """Split a line; names may contain spaces, so only an integer at the end is a label."""
    found = re.fullmatch(r'(.*\S)\s+(-?[0-9]+)', line)
    return (found[1], int(found[2])) if found else (line, None)


def _check_labels(list_file: str, labels: list[tuple[int, int | None]]) -> None:
    first, wanted = labels[0]
    for number, label in labels:
        if abs(label or 0) > LARGEST_LABEL:
            raise UserError(f'{list_file}, line {number}: {label} is not a class.')
        if (label is None) != (wanted is None):
            has = 'no label' if label is None else 'a label'
            other = 'a label' if label is None else 'none'
            raise UserError(
                f'{list_file}, line {number} has {has} and line {first} has {other}; give every '
                f'line a label (-1 for none), or no line.'
            )
