"""What the data sets over the package ``datasets`` share: loading, and what a row holds."""

import glob
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from openmagvit2.datasets.labels import LARGEST_LABEL, UNLABELLED
from openmagvit2.errors import UserError
from openmagvit2.io import Colour, UnreadableImage, read_image, usable


def local_files(path: str) -> list[str]:
    """Return the parquet files that a path names, sorted: a file, a folder, or a pattern.

    A name of the hub gives none.

    Raises:
        UserError: The path is local and there is no parquet file.
    """
    if usable(path).is_dir():
        found = sorted(map(str, Path(path).rglob('*.parquet')))
    elif Path(path).is_file():
        found = [path]
    else:
        found = sorted(glob.glob(path, recursive=True))
    if not found and (Path(path).exists() or Path(path).is_absolute() or '*' in path):
        raise UserError(f'{path}: there is no parquet file; correct `path` of the data set.')
    return found


def load_rows(
    name: str,
    path: str,
    split: str,
    image: str,
    label: str | None,
    revision: str | None = None,
    streaming: bool = False,
):
    """Return the rows as a ``datasets.Dataset``, images undecoded; streamed: an IterableDataset.

    Args:
        name: Who asks, for errors.
        path: Parquet files (see :func:`local_files`), or a data set of the Hugging Face hub.
        split: Name of the split on the hub; local files are one split.
        image, label: Columns to keep.
        revision: Commit, tag or branch on the hub.
        streaming: Read rows as they are asked for.

    Raises:
        UserError: The package, what is to be loaded, or a column is missing.
    """
    try:
        import datasets
    except ImportError as error:
        raise UserError(
            f'{name} needs the package datasets: pip install "openmagvit2[hf]".'
        ) from error
    files = local_files(path)
    given: dict[str, Any] = dict(path=path, split=split, revision=revision)
    if files:
        given = dict(path='parquet', data_files={'train': files}, split='train')
    try:
        rows = datasets.load_dataset(**given, streaming=streaming)
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        # Of a damaged file "an error occurred", which the cause tells.
        why = error.__cause__ or error
        raise UserError(f'{name}: {path} (split {split}) cannot be loaded: {why}') from error
    wanted = [image] if label is None else [image, label]
    _check_columns(f'{name}: {path}', rows.column_names, wanted)
    rows = rows.select_columns(wanted)
    if rows.features is not None and isinstance(rows.features[image], datasets.Image):
        rows = rows.cast_column(image, datasets.Image(decode=False))
    return rows


def _check_columns(source: str, columns: list[str] | None, wanted: list[str]) -> None:
    missing = [column for column in wanted if columns is not None and column not in columns]
    if columns is not None and missing:
        raise UserError(
            f'{source} has no column {missing[0]!r} but {", ".join(columns)}; name the columns '
            f'in `image` and `label` (label=None: no labels).'
        )


def class_names(rows: Any, label: str | None) -> list[str] | None:
    """Return the names of the classes, where the rows' schema has them."""
    import datasets

    kind = (rows.features or {}).get(label) if label is not None else None
    return list(kind.names) if isinstance(kind, datasets.ClassLabel) else None


def read_row(
    row: Mapping[str, Any], image: str, label: str | None, background: Colour, name: str
) -> tuple[np.ndarray, int]:
    """Decode a row: uint8 (H, W, 3) RGB and its label, -1 if it has none.

    The image is the bytes of a file, alone or in the package's ``dict(bytes, path)``.

    Raises:
        UserError: It cannot be read, or the label is no whole number; the text names the row.
    """
    value = row[image]
    if isinstance(value, Mapping):
        # Bytes alone: a path in a file of data may lead anywhere.
        value = value.get('bytes')
    if value is None or value == b'':
        raise UnreadableImage(name, 'the row does not hold the bytes of an image', 'remove the row')
    if not isinstance(value, bytes):
        raise UserError(
            f'{name}: column {image!r} holds {type(value).__name__} instead of encoded images; '
            f'name the column of images in `image`.'
        )
    number = UNLABELLED if label is None else label_of(row[label], label, name)
    return read_image(value, background, name), number


def label_of(value: Any, label: str, name: str) -> int:
    """Return the label in a row, -1 for null.

    Args:
        value: What the column holds.
        label: Name of the column, for errors.
        name: Name of the row, for errors.

    Raises:
        UserError: It is no whole number, or one that no table of classes has.
    """
    if value is None:
        return UNLABELLED
    if not isinstance(value, (int, np.integer)) or abs(int(value)) > LARGEST_LABEL:
        raise UserError(
            f'{name}: column {label!r} holds {value!r} instead of a whole number; set '
            f'label=None, or name another column.'
        )
    return int(value)
