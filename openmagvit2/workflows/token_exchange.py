"""Conversion of token caches to and from the files of other code bases (``token_formats.py``)."""

import math
from collections.abc import Iterable
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
    codebooks,
    open_tokens,
    read_finished,
    read_header,
    read_labels,
    write_header,
)
from openmagvit2.errors import UserError
from openmagvit2.io import make_folder, usable, usable_text, write_atomically
from openmagvit2.workflows.token_formats import WRITERS, Image, read_images
from openmagvit2.workflows.tokenize import tokenizer_header


def export_tokens(cache: str | Path, out: str | Path, to: str, name: str = 'imagenet256') -> int:
    """Write a token cache in the format of another code base, and its header next to it.

    Args:
        cache: A finished token cache.
        out: An empty folder, or one that does not exist. 'npy': receives ``<name>_codes/<i>.npy``,
            int64 (1, views, tokens), and ``<name>_labels/<i>.npy``, int64 (1,), the names that
            LlamaGen uses. 'jsonl': receives ``pretokenized.jsonl`` with a line ``{"class_id": …,
            "tokens": […]}`` for each view of each image, the format that RAR reads.
        to: 'npy' or 'jsonl'.
        name: Prefix of the names of LlamaGen's folders: data set and image size.

    Returns:
        The number of images.

    Raises:
        UserError: The cache is not finished or is damaged, ``out`` contains files, or ``name`` is
            not a valid folder name.
    """
    cache, out = Path(cache), Path(out)
    if Path(name).name != name:
        raise UserError(f'--name must be a prefix for folder names in {out}, got {name!r}.')
    header = read_finished(cache)
    tokens, labels = open_tokens(cache, header), read_labels(cache, header)
    _make_empty(out)
    images = (
        (image.reshape(len(image), -1).astype(np.int64), int(label))
        for image, label in zip(tokens, labels, strict=True)
    )
    WRITERS[to](out, images, name)
    # Last, because a header means that the other files are complete.
    write_header(out, header)
    return header['num_images']


def import_tokens(
    source: str | Path,
    out: str | Path,
    config: Config | None = None,
    checkpoint: str | None = None,
    size: int | None = None,
    views: int | None = None,
) -> dict:
    """Make a token cache from a folder or a jsonl file.

    With the header that :func:`export_tokens` writes, the cache has the same bytes as the original.

    Args:
        source: Output of :func:`export_tokens` or of another code base: a folder with ``*_codes``
            and ``*_labels``, or a ``.jsonl`` file.
        out: The cache; an empty folder, or one that does not exist.
        config, checkpoint: The tokenizer that made the tokens. They and ``size`` are required if
            there is no header, and not allowed if there is one.
        size: Side of the images in pixels.
        views: Lines per image in a jsonl file, 1 by default.

    Returns:
        The header of the cache.

    Raises:
        UserError: Files are missing or differ in length, tokens are outside the codebook, there is
            neither a header nor a tokenizer, or options are given in addition to a header.
    """
    source, out = usable(source), usable_text(out)
    _check_arguments(source, size, views)
    beside = (source if source.is_dir() else source.parent) / HEADER
    given = dict(config=config, checkpoint=checkpoint, size=size, views=views)
    known = _known_header(beside, given) if beside.is_file() else None
    header = known or _new_header(source, config, checkpoint, size)
    images = read_images(source, known['num_views'] if known else views or 1)
    first = next(images, None)
    if first is None:
        raise UserError(f'{source} contains no tokens.')
    header.setdefault('num_views', len(first[0]))
    _make_empty(out)
    labels = _write_tokens(out, chain([first], images), header)
    if known and len(labels) != known['num_images']:
        raise UserError(
            f'{source} has {len(labels)} of {known["num_images"]} images; copy it again.'
        )
    header |= dict(num_images=len(labels), finished=True)
    with write_atomically(out / LABELS) as file:
        np.save(file, np.array(labels, np.int64))
    write_header(out, header)
    return header


def _check_arguments(source: Path, size: int | None, views: int | None) -> None:
    for name, number in (('size', size), ('views', views)):
        if number is not None and number < 1:
            raise UserError(f'--{name} must be a positive integer, got {number}.')
    if not source.exists():
        raise UserError(f'{source} does not exist; pass a folder of npy files or a jsonl file.')


def _known_header(header: Path, given: dict[str, object]) -> dict:
    """Read a header; raise UserError if an option that it makes redundant is given."""
    for name, value in given.items():
        if value is not None:
            raise UserError(
                f'{header} records the tokenizer and the images of the tokens; leave out --{name}, '
                f'or remove that file if it is wrong.'
            )
    return read_header(header.parent)


def _new_header(
    source: Path, config: Config | None, checkpoint: str | None, size: int | None
) -> dict:
    """Make the header that a cache of this tokenizer has, without a fingerprint of the images."""
    if config is None or checkpoint is None or size is None:
        raise UserError(
            f'{source} has no {HEADER} next to it; pass the tokenizer of the tokens by '
            f'--config and --checkpoint, and the side of the images in pixels by --size.'
        )
    model = Tokenizer.from_config(config, checkpoint, 'cpu').model
    model.encoder.check_size((size, size))
    header = tokenizer_header(model, config, checkpoint, (size, size))
    return dict(header, classes=None, recipe=dict(imported=str(source)))


def _make_empty(out: Path) -> None:
    """Make a folder; raise UserError if it contains files."""
    if out.is_dir() and any(out.iterdir()):
        raise UserError(f'{out} contains files; choose an empty or a new folder.')
    make_folder(out)


def _write_tokens(out: Path, images: Iterable[Image], header: dict) -> list[int]:
    """Write the tokens and return the labels."""
    shape, sizes = (header['num_views'], math.prod(header['grid'])), codebooks(header)
    labels = []
    with write_atomically(out / TOKENS) as file:
        for number, (tokens, label) in enumerate(images):
            if tokens.shape != shape:
                raise UserError(
                    f'Image {number} has {tokens.shape} (views, tokens), but the header says '
                    f'{shape}; correct --config, --size or --views.'
                )
            if beyond(tokens, sizes) is not None:
                raise UserError(
                    f'Image {number} has tokens outside 0 to {max(sizes) - 1}; they were made by '
                    f'another tokenizer than --config.'
                )
            file.write(tokens.astype(header['dtype']).tobytes())
            labels.append(label)
    return labels
