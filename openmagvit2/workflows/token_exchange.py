"""Token caches in the files of other code bases: npy folders (LlamaGen), jsonl (RAR)."""

import json
import math
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path

import numpy as np
from mmengine.config import Config

from openmagvit2.apis import Tokenizer
from openmagvit2.datasets.token_files import (
    HEADER,
    LABELS,
    TOKENS,
    beyond,
    check_sizes,
    codebooks,
    open_tokens,
    read_header,
    read_labels,
)
from openmagvit2.errors import UserError
from openmagvit2.io import make_folder, map_array, usable, usable_text, write_atomically, write_text
from openmagvit2.workflows.tokenize import tokenizer_header

JSONL = 'pretokenized.jsonl'
# Tokens of one image: (views, tokens of a view) whole numbers, and its label.
Image = tuple[np.ndarray, int]


def export_tokens(cache: str | Path, out: str | Path, to: str, name: str = 'imagenet256') -> int:
    """Write a token cache as other code bases read it, with its header beside; return its images.

    Args:
        cache: A finished token cache.
        out: An empty folder, or one that does not exist. 'npy': receives ``<name>_codes/<i>.npy``,
            int64 (1, views, tokens), and ``<name>_labels/<i>.npy``, int64 (1,), as LlamaGen names
            them. 'jsonl': receives ``pretokenized.jsonl`` with a line ``{"class_id": …,
            "tokens": […]}`` for each view of each image, as RAR reads it.
        to: 'npy' or 'jsonl'.
        name: Begins the names of LlamaGen's folders: its data set and size.

    Raises:
        UserError: The cache is not finished or damaged, ``out`` holds files, or
            ``name`` is no name of a folder.
    """
    cache, out = Path(cache), Path(out)
    if Path(name).name != name:
        raise UserError(f'--name begins the names of folders in {out}, got {name!r}.')
    header = _finished(cache)
    tokens, labels = open_tokens(cache, header), read_labels(cache, header)
    _empty(out)
    flat = (_flat(tokens[i], int(label)) for i, label in enumerate(labels))
    writers: dict[str, Callable[[Path, Iterable[Image], str], None]] = dict(
        npy=_write_npy, jsonl=_write_jsonl
    )
    writers[to](out, flat, name)
    # Last, since it says that the others are there.
    write_text(out / HEADER, json.dumps(header, indent=2) + '\n')
    return header['num_images']


def import_tokens(
    source: str | Path,
    out: str | Path,
    config: Config | None = None,
    checkpoint: str | None = None,
    size: int | None = None,
    views: int | None = None,
) -> dict:
    """Make a token cache of a folder or a jsonl file; with the header beside it, the same bytes.

    Args:
        source: What :func:`export_tokens` wrote, or another code base: a folder with ``*_codes``
            and ``*_labels``, or a ``.jsonl`` file.
        out: The cache; an empty folder, or one that does not exist.
        config, checkpoint: The tokenizer that made the tokens; with ``size`` needed without header.
        size: Pixels of the images.
        views: Lines of an image in a jsonl file, 1 by default.

    Returns:
        The header of the cache.

    Raises:
        UserError: Files are missing or unequal, tokens are outside of the codebook, or there is
            neither a header nor a tokenizer, or anything is given beside a header.
    """
    source, out = usable(source), usable_text(out)
    _check_given(source, size, views)
    beside = (source if source.is_dir() else source.parent) / HEADER
    given = dict(config=config, checkpoint=checkpoint, size=size, views=views)
    known = _known(beside, given) if beside.is_file() else None
    header = known or _new_header(source, config, checkpoint, size)
    if source.is_dir() and (source / JSONL).is_file():
        source = source / JSONL
    views = known['num_views'] if known else views or 1
    images = _read_npy(source) if source.is_dir() else _read_jsonl(source, views)
    first = next(images, None)
    if first is None:
        raise UserError(f'{source} holds no tokens.')
    header.setdefault('num_views', len(first[0]))
    _empty(out)
    labels = _write_tokens(out, chain([first], images), header)
    if known and len(labels) != known['num_images']:
        raise UserError(
            f'{source} has {len(labels)} of {known["num_images"]} images; copy it again.'
        )
    header |= dict(num_images=len(labels), finished=True)
    with write_atomically(out / LABELS) as file:
        np.save(file, np.array(labels, np.int64))
    write_text(out / HEADER, json.dumps(header, indent=2) + '\n')
    return header


def _check_given(source: Path, size: int | None, views: int | None) -> None:
    for name, number in (('size', size), ('views', views)):
        if number is not None and number < 1:
            raise UserError(f'--{name} must be a whole number from 1, got {number}.')
    if not source.exists():
        raise UserError(f'There is no {source}: give a folder of npy files or a jsonl file.')


def _known(header: Path, given: dict[str, object]) -> dict:
    """Return the content of a header, beside which nothing may be given."""
    for name, value in given.items():
        if value is not None:
            raise UserError(
                f'{header} says of what tokenizer and images the tokens are; leave out --{name}, '
                f'or remove that file if it is wrong.'
            )
    return read_header(header.parent)


def _finished(cache: Path) -> dict:
    header = read_header(cache)
    if not header['finished']:
        raise UserError(f'{cache} is not finished; start tools/tokenize_dataset.py again.')
    check_sizes(cache, header)
    return header


def _empty(out: Path) -> None:
    if out.is_dir() and any(out.iterdir()):
        raise UserError(f'{out} holds files; give an empty or a new folder.')
    make_folder(out)


def _flat(tokens: np.ndarray, label: int) -> Image:
    return tokens.reshape(len(tokens), -1).astype(np.int64), label


def _write_npy(out: Path, images: Iterable[Image], name: str) -> None:
    codes, labels = out / f'{name}_codes', out / f'{name}_labels'
    make_folder(codes)
    make_folder(labels)
    for i, (tokens, label) in enumerate(images):
        np.save(codes / f'{i}.npy', tokens[None])
        np.save(labels / f'{i}.npy', np.array([label], np.int64))


def _write_jsonl(out: Path, images: Iterable[Image], name: str) -> None:
    with write_atomically(out / JSONL) as file:
        for tokens, label in images:
            for view in tokens:
                line = json.dumps(dict(class_id=label, tokens=view.tolist()))
                file.write(f'{line}\n'.encode())


def _read_npy(source: Path) -> Iterator[Image]:
    """Yield the images of a folder in the order of their numbers."""
    pairs = sorted(source.glob('*_codes'))
    if len(pairs) != 1 or not (labels := source / f'{pairs[0].name[:-6]}_labels').is_dir():
        raise UserError(f'{source} is no folder with one <name>_codes and its <name>_labels.')
    names = [path.name for path in pairs[0].glob('*.npy')]
    for name in sorted(names, key=lambda name: (len(name), name)):
        tokens, label = _load(pairs[0] / name), _load(labels / name)
        if tokens.ndim != 3 or len(tokens) != 1 or not tokens.size or label.shape != (1,):
            raise UserError(
                f'{pairs[0] / name} and its label have the shapes {tokens.shape} and '
                f'{label.shape} instead of (1, views, tokens) and (1,).'
            )
        if label[0] >= 2**62:
            raise UserError(f'{labels / name} holds {label[0]}, which is no class.')
        yield tokens[0], int(label[0])


def _load(path: Path) -> np.ndarray:
    array = map_array(path)
    if not np.issubdtype(array.dtype, np.integer):
        raise UserError(f'{path} holds {array.dtype} instead of whole numbers.')
    return array


def _read_jsonl(source: Path, views: int) -> Iterator[Image]:
    """Yield the images of a jsonl file, each of ``views`` lines with one label."""
    rows: list[list[int]] = []
    label: object = None
    for number, line in enumerate(_lines(source), 1):
        where = f'{source}, line {number}'
        tokens, own = _parse(line, where)
        if rows and (own != label or len(tokens) != len(rows[0])):
            raise UserError(f'{where}: not a view of the image before; correct --views.')
        rows, label = [*rows, tokens], own
        if len(rows) == views:
            yield np.array(rows, np.int64), own
            rows = []
    if rows:
        raise UserError(f'{source}: its lines are no multiple of {views} views; correct --views.')


def _lines(source: Path) -> Iterator[str]:
    if not source.is_file():
        raise UserError(f'{source} is neither a folder nor a jsonl file.')
    try:
        with open(source, encoding='utf-8') as file:
            yield from file
    except UnicodeDecodeError as error:
        raise UserError(
            f'{source} is no jsonl file: it is not written in UTF-8; give a folder of npy files '
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
        raise UserError(f'{where}: class and tokens are no whole numbers.')
    return tokens, label


def _write_tokens(out: Path, images: Iterable[Image], header: dict) -> list[int]:
    """Write the tokens; return the labels."""
    shape, labels = (header['num_views'], math.prod(header['grid'])), []
    sizes = codebooks(header)
    with write_atomically(out / TOKENS) as file:
        for number, (tokens, label) in enumerate(images):
            if tokens.shape != shape:
                raise UserError(
                    f'Image {number} has {tokens.shape} (views, tokens), the header says {shape}; '
                    f'correct --config, --size or --views.'
                )
            if beyond(tokens, sizes) is not None:
                raise UserError(
                    f'Image {number} has tokens outside of 0 to {max(sizes) - 1}; they are of '
                    f'another tokenizer than --config.'
                )
            file.write(tokens.astype(header['dtype']).tobytes())
            labels.append(label)
    return labels


def _new_header(
    source: Path, config: Config | None, checkpoint: str | None, size: int | None
) -> dict:
    """Make the header that a cache of this tokenizer has; there are no images to compare with."""
    if config is None or checkpoint is None or size is None:
        raise UserError(
            f'{source} has no {HEADER} beside it; name the tokenizer that made the tokens with '
            f'--config and --checkpoint, and the pixels of the images with --size.'
        )
    model = Tokenizer.from_config(config, checkpoint, 'cpu').model
    model.encoder.check_size((size, size))
    header = tokenizer_header(model, config, checkpoint, (size, size))
    return dict(header, classes=None, recipe=dict(imported=str(source)))
