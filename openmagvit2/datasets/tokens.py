"""A data set as the tokens of a tokenizer: what ``tools/tokenize_dataset.py`` writes."""

import json
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset

from openmagvit2.checkpoint.hashing import weights_hash
from openmagvit2.datasets.base import uniform
from openmagvit2.registry import DATASETS

HEADER, TOKENS, LABELS = 'header.json', 'tokens.bin', 'labels.npy'


def token_dtype(codebook_size: int) -> np.dtype:
    """The smallest unsigned integer that holds every index."""
    return next(np.dtype(kind) for kind in (np.uint8, np.uint16, np.uint32, np.uint64) if codebook_size - 1 <= np.iinfo(kind).max)


def open_tokens(folder: Path, header: dict, mode: str = 'r') -> np.memmap:
    """The file of tokens as (images, views, h, w); ``mode`` 'r', 'r+', or 'w+'."""
    shape = (header['num_images'], header['num_views'], *header['grid'])
    return np.memmap(folder / TOKENS, np.dtype(header['dtype']), mode, shape=shape)


@DATASETS.register_module()
class TokenCache(Dataset):
    """Indices int64 (h, w) and label of each image; one of its views (crops, mirrored ones) by (seed, epoch, index).

    Args:
        data_root: Folder with ``header.json``, ``tokens.bin`` and ``labels.npy``.
        seed: Of the choice of views.

    Raises:
        ValueError: The folder is none of a token cache, or is not finished.
    """

    def __init__(self, *, data_root: str, seed: int = 0) -> None:
        self.folder, self.seed = Path(data_root), seed
        if not (self.folder / HEADER).is_file():
            raise ValueError(f'TokenCache: no {HEADER} in {data_root}; make it with tools/tokenize_dataset.py.')
        self.header = json.loads((self.folder / HEADER).read_text())
        if not self.header['finished']:
            raise ValueError(f'TokenCache: {data_root} is not finished; start tools/tokenize_dataset.py again with the same arguments.')
        self.labels = np.load(self.folder / LABELS, allow_pickle=False)
        # Opened by each loader worker for itself.
        self._tokens: np.memmap | None = None

    @property
    def metainfo(self) -> dict:
        """Names of the classes, where they are known."""
        return dict(classes=self.header['classes'])

    def __len__(self) -> int:
        return self.header['num_images']

    def __getitem__(self, key: int | tuple[int, int]) -> dict:
        """``dict(indices int64 (h, w), label, index, uniform)`` for an index, or for (index, epoch) as the training sampler gives."""
        index, epoch = key if isinstance(key, tuple) else (key, 0)
        if self._tokens is None:
            self._tokens = open_tokens(self.folder, self.header)
        views = self.header['num_views']
        view = int(np.random.default_rng(np.random.SeedSequence((self.seed, epoch, index))).integers(views)) if views > 1 else 0
        indices = torch.from_numpy(self._tokens[index, view].astype(np.int64))
        return dict(indices=indices, label=int(self.labels[index]), index=index, uniform=uniform(self.seed, epoch, index))

    def check_model(self, model: nn.Module) -> None:
        """Whether a generator's tokenizer is the one that made the tokens.

        Raises:
            ValueError: It is another.
        """
        tokenizer = getattr(model, 'tokenizer', None)
        if tokenizer is None:
            raise ValueError('TokenCache holds tokens, not images: it trains generators only.')
        if weights_hash(tokenizer.encoder, tokenizer.quantizer) != self.header['tokenizer_hash']:
            raise ValueError(
                f'TokenCache: {self.folder} was made by another tokenizer ({self.header["tokenizer"]["checkpoint"]}); name that one in '
                'model.tokenizer.checkpoint, or run tools/tokenize_dataset.py with this one.'
            )
