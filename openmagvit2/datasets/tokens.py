"""A data set as the tokens of a tokenizer: what ``tools/tokenize_dataset.py`` writes."""

import hashlib
import json
import math
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset

from openmagvit2.checkpoint.hashing import weights_hash
from openmagvit2.datasets.base import uniform
from openmagvit2.datasets.labels import check_labels
from openmagvit2.errors import UserError
from openmagvit2.registry import DATASETS

HEADER, TOKENS, LABELS = 'header.json', 'tokens.bin', 'labels.npy'
# Of the header and the files beside it.
FORMAT = 1


def token_dtype(codebook_size: int) -> np.dtype:
    """The smallest unsigned integer that holds every index."""
    return next(
        np.dtype(kind)
        for kind in (np.uint8, np.uint16, np.uint32, np.uint64)
        if codebook_size - 1 <= np.iinfo(kind).max
    )


def open_tokens(folder: Path, header: dict, mode: str = 'r') -> np.memmap:
    """The file of tokens as (images, views, h, w); ``mode`` 'r', 'r+', or 'w+'."""
    shape = (header['num_images'], header['num_views'], *header['grid'])
    return np.memmap(folder / TOKENS, np.dtype(header['dtype']), mode, shape=shape)


def read_header(folder: Path) -> dict:
    """The header of a token cache.

    Raises:
        UserError: There is none, or it is not one of ours.
    """
    path = folder / HEADER
    if not path.is_file():
        raise UserError(
            f'TokenCache: no {HEADER} in {folder}; make it with tools/tokenize_dataset.py.'
        )
    try:
        header = json.loads(path.read_text(encoding='utf-8'))
    except ValueError as error:
        raise UserError(
            f'TokenCache: {path} cannot be read: {error}; remove the folder and tokenize again.'
        ) from error
    if not isinstance(header, dict) or header.get('format') != FORMAT:
        raise UserError(
            f'TokenCache: {path} is not a header of format {FORMAT}, which this version writes; '
            f'tokenize again.'
        )
    return header


def token_bytes(header: dict) -> int:
    """Length of the file of tokens."""
    return (
        header['num_images']
        * header['num_views']
        * math.prod(header['grid'])
        * np.dtype(header['dtype']).itemsize
    )


def fingerprint(dataset: Dataset) -> str | None:
    """A hash that changes with the images: of the names, sizes and times of files, or of images in
    memory; None for others.
    """
    digest = hashlib.sha256()
    if hasattr(dataset, 'samples'):
        for path, _ in dataset.samples:
            found = Path(path).stat()
            digest.update(
                f'{path}\0{found.st_size}\0{found.st_mtime_ns}\n'.encode('utf-8', 'surrogateescape')
            )
    elif isinstance(getattr(dataset, 'images', None), np.ndarray):
        digest.update(np.ascontiguousarray(dataset.images))
    else:
        return None
    return digest.hexdigest()


def check_sizes(folder: Path, header: dict) -> None:
    """Whether the files are as long as the header says.

    Raises:
        UserError: They are not, as after a copy that broke off.
    """
    # A .npy file of int64 has a header of 128 bytes.
    for name, size in ((TOKENS, token_bytes(header)), (LABELS, 128 + 8 * header['num_images'])):
        found = (folder / name).stat().st_size if (folder / name).is_file() else 0
        if found != size:
            raise UserError(
                f'TokenCache: {folder / name} has {found} of {size} bytes; copy it again, or make '
                f'the folder anew.'
            )


@DATASETS.register_module()
class TokenCache(Dataset):
    """Indices int64 (h, w) and label of each image; one of its views (crops, mirrored ones) by
    (seed, epoch, index).

    Args:
        data_root: Folder with ``header.json``, ``tokens.bin`` and ``labels.npy``.
        seed: Of the choice of views.

    Raises:
        UserError: The folder is none of a token cache, is not finished, or lacks a part.
    """

    def __init__(self, *, data_root: str, seed: int = 0) -> None:
        self.folder, self.seed = Path(data_root), seed
        self.header = read_header(self.folder)
        if not self.header['finished']:
            raise UserError(
                f'TokenCache: {data_root} is not finished; start '
                f'tools/tokenize_dataset.py again '
                f'with the same arguments.'
            )
        check_sizes(self.folder, self.header)
        try:
            self.labels = np.load(self.folder / LABELS, allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise UserError(f'TokenCache: {self.folder / LABELS} cannot be read: {error}') from None
        # Opened by each loader worker for itself.
        self._tokens: np.memmap | None = None

    @property
    def metainfo(self) -> dict:
        """Names of the classes, where they are known."""
        return dict(classes=self.header['classes'])

    @property
    def num_classes(self) -> int | None:
        """Number of classes, or None where they are not known."""
        classes = self.header['classes']
        return len(classes) if classes is not None else None

    def all_labels(self) -> np.ndarray:
        """int64 (N,)."""
        return self.labels

    def describe(self, index: int) -> str:
        """What errors call an image."""
        return f'image {index} of {self.folder}'

    def __len__(self) -> int:
        return self.header['num_images']

    def __getitem__(self, key: int | tuple[int, int]) -> dict:
        """``dict(indices int64 (h, w), label, index, uniform)`` for an index, or for (index, epoch)
        as the training sampler gives.
        """
        index, epoch = key if isinstance(key, tuple) else (key, 0)
        if self._tokens is None:
            self._tokens = open_tokens(self.folder, self.header)
        views = self.header['num_views']
        view = (
            int(
                np.random.default_rng(np.random.SeedSequence((self.seed, epoch, index))).integers(
                    views
                )
            )
            if views > 1
            else 0
        )
        indices = torch.from_numpy(self._tokens[index, view].astype(np.int64))
        return dict(
            indices=indices,
            label=int(self.labels[index]),
            index=index,
            uniform=uniform(self.seed, epoch, index),
        )

    def check_model(self, model: nn.Module) -> str | None:
        """Check that a generator has the tokenizer that made the tokens, and classes for all
        labels.

        Returns:
            See :meth:`ImageDataset.check_model`.

        Raises:
            UserError: It is another tokenizer, or a label is none of the model's classes.
        """
        tokenizer = getattr(model, 'tokenizer', None)
        if tokenizer is None:
            raise UserError('TokenCache holds tokens, not images: it trains generators only.')
        if weights_hash(tokenizer.encoder, tokenizer.quantizer) != self.header['tokenizer_hash']:
            raise UserError(
                f'TokenCache: {self.folder} was made by another tokenizer '
                f'({self.header["tokenizer"]["checkpoint"]}); name that one in '
                'model.tokenizer.checkpoint, or run tools/tokenize_dataset.py with this one.'
            )
        return check_labels(self, model)
