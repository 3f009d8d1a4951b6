"""The files of a token cache: a header, the tokens, the labels."""

import json
import math
from pathlib import Path

import numpy as np

from openmagvit2.errors import UserError
from openmagvit2.io import map_array, usable, write_text

HEADER, TOKENS, LABELS = 'header.json', 'tokens.bin', 'labels.npy'
# Version of the format of the header and the other files.
FORMAT = 1
# A .npy file of int64 has a header of 128 bytes.
LABELS_START = 128
DTYPES = ('uint8', 'uint16', 'uint32', 'uint64')


def token_dtype(codebook_size: int) -> np.dtype:
    """Return the smallest unsigned integer type that can represent every index."""
    return next(np.dtype(kind) for kind in DTYPES if codebook_size - 1 <= np.iinfo(kind).max)


def open_tokens(folder: Path, header: dict) -> np.memmap:
    """Map the file of tokens into memory as (images, views, *grid), read-only."""
    shape = (header['num_images'], header['num_views'], *header['grid'])
    return np.memmap(folder / TOKENS, np.dtype(header['dtype']), 'r', shape=shape)


def read_header(folder: Path) -> dict:
    """Read the header of a token cache.

    Raises:
        UserError: The folder or the header does not exist, or the header is invalid.
    """
    path = folder / HEADER
    if not usable(folder).is_dir():
        raise UserError(f'TokenCache: the folder {folder} does not exist; correct the path.')
    if not path.is_file():
        raise UserError(
            f'TokenCache: {folder} has no {HEADER}; create the cache with '
            f'tools/tokenize_dataset.py.'
        )
    try:
        header = json.loads(path.read_text(encoding='utf-8'))
    except (ValueError, RecursionError) as error:
        raise UserError(
            f'TokenCache: {path} cannot be read: {error}; remove the folder and tokenize again.'
        ) from error
    if not isinstance(header, dict) or header.get('format') != FORMAT:
        raise UserError(
            f'TokenCache: {path} is not a header of format {FORMAT}, which this version writes; '
            f'tokenize again.'
        )
    _check_header(path, header)
    return header


def read_finished(folder: Path) -> dict:
    """Read the header of a finished token cache, and check the sizes of its files.

    Raises:
        UserError: The cache is not finished, or a file is missing, damaged or of another size.
    """
    header = read_header(folder)
    if not header['finished']:
        raise UserError(
            f'TokenCache: {folder} is not finished; run tools/tokenize_dataset.py again with the '
            f'same arguments.'
        )
    check_sizes(folder, header)
    return header


def write_header(folder: Path, header: dict) -> None:
    """Write the header of a token cache."""
    write_text(folder / HEADER, json.dumps(header, indent=2, default=str) + '\n')


def _check_header(path: Path, header: dict) -> None:
    """Raise UserError if a value of a header, from which sizes are computed, is invalid."""
    counts = {key: [header.get(key)] for key in ('num_images', 'num_views')}
    for key in ('grid', 'codebook_size'):
        value = header.get(key)
        counts[key] = value if isinstance(value, list) and value else [value]
    right = {key: all(map(_is_count, values)) for key, values in counts.items()}
    classes, tokenizer = header.get('classes', 0), header.get('tokenizer')
    right['grid'] &= isinstance(header.get('grid'), list)
    right['codebook_size'] &= right['grid'] and not math.prod(counts['grid']) % len(
        counts['codebook_size']
    )
    right['dtype'] = header.get('dtype') in DTYPES
    right['finished'] = isinstance(header.get('finished'), bool)
    right['classes'] = classes is None or (
        isinstance(classes, list) and all(isinstance(name, str) for name in classes)
    )
    right['tokenizer'] = isinstance(tokenizer, dict) and 'checkpoint' in tokenizer
    right['tokenizer_hash'] = isinstance(header.get('tokenizer_hash'), str)
    wrong = [key for key, fine in right.items() if not fine]
    if wrong:
        raise UserError(
            f'TokenCache: {path} is damaged ({", ".join(wrong)}); remove the folder and tokenize '
            f'again.'
        )


def _is_count(value: object) -> bool:
    return type(value) is int and 1 <= value <= 2**62


def codebooks(header: dict) -> np.ndarray:
    """Return the codebook size of each digit of an index."""
    sizes = header['codebook_size']
    return np.array(sizes if isinstance(sizes, list) else [sizes])


def beyond(tokens: np.ndarray, sizes: np.ndarray) -> int | None:
    """Return the first token outside its codebook, or None.

    Args:
        tokens: Integers of any shape, with the digits of an index on the last axis.
        sizes: Codebook size of each digit.
    """
    digits = tokens.reshape(-1, len(sizes))
    wrong = (digits < 0) | (digits >= sizes)
    return int(digits[wrong][0]) if wrong.any() else None


def read_labels(folder: Path, header: dict) -> np.ndarray:
    """Read the labels, int64 (images,).

    Raises:
        UserError: The file has other contents, such as pickled objects.
    """
    path = folder / LABELS
    labels = map_array(path)
    if labels.dtype != np.int64 or labels.shape != (header['num_images'],):
        raise UserError(
            f'TokenCache: {path} holds {labels.dtype} {labels.shape} instead of int64 '
            f'({header["num_images"]},); copy it again, or tokenize again.'
        )
    return np.array(labels)


def token_bytes(header: dict) -> int:
    """Return the size of the file of tokens in bytes."""
    return (
        header['num_images']
        * header['num_views']
        * math.prod(header['grid'])
        * np.dtype(header['dtype']).itemsize
    )


def check_sizes(folder: Path, header: dict) -> None:
    """Raise UserError if a file has another size than follows from the header, for example after an
    interrupted copy.
    """
    labels = LABELS_START + 8 * header['num_images']
    for name, size in ((TOKENS, token_bytes(header)), (LABELS, labels)):
        found = (folder / name).stat().st_size if (folder / name).is_file() else 0
        if found != size:
            raise UserError(
                f'TokenCache: {folder / name} has {found} of {size} bytes; copy it again, or '
                f'tokenize again.'
            )
