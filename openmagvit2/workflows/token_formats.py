"""Tokens in the files of other code bases: npy folders (LlamaGen) and jsonl (RAR).

A format is a function in :data:`WRITERS` and a case of :func:`read_images`.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from openmagvit2.errors import UserError
from openmagvit2.io import make_folder, map_array, write_atomically

JSONL = 'pretokenized.jsonl'
# The tokens of one image, integers (views, tokens per view), and its label.
Image = tuple[np.ndarray, int]


def write_npy(out: Path, images: Iterable[Image], name: str) -> None:
    """Write ``<name>_codes/<i>.npy``, int64 (1, views, tokens), and ``<name>_labels/<i>.npy``."""
    codes, labels = out / f'{name}_codes', out / f'{name}_labels'
    make_folder(codes)
    make_folder(labels)
    for i, (tokens, label) in enumerate(images):
        np.save(codes / f'{i}.npy', tokens[None])
        np.save(labels / f'{i}.npy', np.array([label], np.int64))


def write_jsonl(out: Path, images: Iterable[Image], name: str) -> None:
    """Write a line ``{"class_id": …, "tokens": […]}`` per view of each image."""
    with write_atomically(out / JSONL) as file:
        for tokens, label in images:
            for view in tokens:
                line = json.dumps(dict(class_id=label, tokens=view.tolist()))
                file.write(f'{line}\n'.encode())


WRITERS: dict[str, Callable[[Path, Iterable[Image], str], None]] = dict(
    npy=write_npy, jsonl=write_jsonl
)


def read_images(source: Path, views: int) -> Iterator[Image]:
    """Yield the images of a folder of npy files, or of a jsonl file or its folder.

    Args:
        source: The folder or file.
        views: Lines per image in a jsonl file; npy files store their number of views.

    Raises:
        UserError: A file is missing, cannot be read, or has another layout.
    """
    if not source.is_dir():
        return _read_jsonl(source, views)
    jsonl = source / JSONL
    return _read_jsonl(jsonl, views) if jsonl.is_file() else _read_npy(source)


def _read_npy(source: Path) -> Iterator[Image]:
    """Yield the images of a folder in the order of their numbers."""
    pairs = sorted(source.glob('*_codes'))
    if len(pairs) != 1 or not (labels := source / f'{pairs[0].name[:-6]}_labels').is_dir():
        raise UserError(f'{source} must contain one folder <name>_codes and its <name>_labels.')
    names = [path.name for path in pairs[0].glob('*.npy')]
    for name in sorted(names, key=lambda name: (len(name), name)):
        tokens, label = _load(pairs[0] / name), _load(labels / name)
        if tokens.ndim != 3 or len(tokens) != 1 or not tokens.size or label.shape != (1,):
            raise UserError(
                f'{pairs[0] / name} and its label have the shapes {tokens.shape} and '
                f'{label.shape} instead of (1, views, tokens) and (1,).'
            )
        if label[0] >= 2**62:
            raise UserError(f'{labels / name} contains {label[0]}, which is not a class.')
        yield tokens[0], int(label[0])


def _load(path: Path) -> np.ndarray:
    array = map_array(path)
    if not np.issubdtype(array.dtype, np.integer):
        raise UserError(f'{path} contains {array.dtype} instead of integers.')
    return array


def _read_jsonl(source: Path, views: int) -> Iterator[Image]:
    """Yield the images of a jsonl file, each of ``views`` lines with the same label."""
    rows: list[list[int]] = []
    label: object = None
    for number, line in enumerate(_lines(source), 1):
        where = f'{source}, line {number}'
        tokens, own = _parse(line, where)
        if rows and (own != label or len(tokens) != len(rows[0])):
            raise UserError(f'{where} is not a view of the previous image; correct --views.')
        rows, label = [*rows, tokens], own
        if len(rows) == views:
            yield np.array(rows, np.int64), own
            rows = []
    if rows:
        raise UserError(
            f'{source}: the number of lines is not divisible by {views} views; correct --views.'
        )


def _lines(source: Path) -> Iterator[str]:
    try:
        with open(source, encoding='utf-8') as file:
            yield from file
    except UnicodeDecodeError as error:
        raise UserError(
            f'{source} is not a jsonl file, because it is not UTF-8; pass a folder of npy files '
            f'or a jsonl file.'
        ) from error


def _parse(line: str, where: str) -> tuple[list[int], int]:
    try:
        row = json.loads(line)
        tokens, label = row['tokens'], row['class_id']
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise UserError(f'{where} is not {{"class_id": …, "tokens": […]}}.') from error
    numbers = [label, *tokens] if isinstance(tokens, list) else [None]
    if any(type(value) is not int or not -(2**62) < value < 2**62 for value in numbers):
        raise UserError(f'{where}: class_id and tokens must be integers.')
    return tokens, label
