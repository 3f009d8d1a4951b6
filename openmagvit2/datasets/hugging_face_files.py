"""Loading and decoding of rows, which the data sets by the package ``datasets`` share."""

import glob
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from openmagvit2.datasets.labels import LARGEST_LABEL, UNLABELED
from openmagvit2.errors import UserError
from openmagvit2.io import Color, UnreadableImage, read_image, usable


def local_files(path: str) -> list[str]:
    """Return the sorted parquet files of a path: a file, a folder, or a pattern.

    The list is empty for a name on the hub.

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
    """Return the rows as a ``datasets.Dataset`` or, if streamed, ``IterableDataset``, without
    decoding images.

    Args:
        name: Name of the caller, for errors.
        path: Parquet files (see :func:`local_files`), or a data set on the Hugging Face hub.
        split: Name of the split on the hub; local files are a single split.
        image, label: Columns to keep.
        revision: Commit, tag or branch on the hub.
        streaming: Read rows on demand.

    Raises:
        UserError: The package, the data or a column is missing.
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
        # For a damaged file, only the cause says what is wrong.
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
            f'{source} has no column {missing[0]!r}, but {", ".join(columns)}; set `image` and '
            f'`label` to columns (label=None: no labels).'
        )


def class_names(rows: Any, label: str | None) -> list[str] | None:
    """Return the names of the classes, if the schema of the rows has them."""
    import datasets

    kind = (rows.features or {}).get(label) if label is not None else None
    return list(kind.names) if isinstance(kind, datasets.ClassLabel) else None


def read_row(
    row: Mapping[str, Any], image: str, label: str | None, background: Color, name: str
) -> tuple[np.ndarray, int]:
    """Decode a row to uint8 (H, W, 3) RGB and its label, -1 if it has none.

    The image is the bytes of a file, alone or in the package's ``dict(bytes, path)``.

    Raises:
        UserError: The image cannot be read, or the label is not an integer; the message names the
            row.
    """
    value = row[image]
    if isinstance(value, Mapping):
        # Only bytes: a path in a data file may point anywhere.
        value = value.get('bytes')
    if value is None or value == b'':
        raise UnreadableImage(name, 'the row does not hold the bytes of an image', 'remove the row')
    if not isinstance(value, bytes):
        raise UserError(
            f'{name}: column {image!r} holds {type(value).__name__} instead of encoded images; '
            f'set `image` to the column of the images.'
        )
    number = UNLABELED if label is None else label_of(row[label], label, name)
    return read_image(value, background, name), number


def label_of(value: Any, label: str, name: str) -> int:
    """Return the label of a row, -1 for null.

    Args:
        value: Value in the column.
        label: Name of the column, for errors.
        name: Name of the row, for errors.

    Raises:
        UserError: It is not an integer, or too large for a class.
    """
    if value is None:
        return UNLABELED
    if not isinstance(value, (int, np.integer)) or abs(int(value)) > LARGEST_LABEL:
        raise UserError(
            f'{name}: column {label!r} holds {value!r} instead of an integer; set label=None, or '
            f'name another column.'
        )
    return int(value)
