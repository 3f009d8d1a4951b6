"""A data set of token indices that ``tools/tokenize_dataset.py`` has written."""

from pathlib import Path

import numpy as np
import torch
from mmengine.logging import print_log
from torch import nn
from torch.utils.data import Dataset

from openmagvit2.checkpoint.hashing import weights_hash
from openmagvit2.checkpoint.stages import is_generator
from openmagvit2.datasets.base import uniform
from openmagvit2.datasets.fingerprint import changed
from openmagvit2.datasets.labels import Labeled
from openmagvit2.datasets.token_files import (
    TOKENS,
    beyond,
    codebooks,
    open_tokens,
    read_finished,
    read_labels,
)
from openmagvit2.errors import UserError
from openmagvit2.registry import DATASETS


@DATASETS.register_module()
class TokenCache(Labeled, Dataset):
    """Token indices int64 (*grid) and label of each image.

    The view (crop, possibly mirrored) is drawn from (seed, epoch, index).

    Args:
        data_root: Folder with ``header.json``, ``tokens.bin`` and ``labels.npy``.
        seed: Random seed for the choice of views.
        check_images: Raise an error if the names, sizes or times of the images have changed. Set it
            to False if only times differ, for example after a copy.

    Raises:
        UserError: The folder is not a token cache, is not finished, or lacks a file.
    """

    def __init__(self, *, data_root: str, seed: int = 0, check_images: bool = True) -> None:
        self.folder, self.seed, self.check_images = Path(data_root), seed, check_images
        self.header = read_finished(self.folder)
        self.labels, self.classes = read_labels(self.folder, self.header), self.header['classes']
        self.codebooks = codebooks(self.header)
        # Each loader worker opens it itself.
        self._tokens: np.memmap | None = None

    def all_labels(self) -> np.ndarray:
        """Return int64 (N,)."""
        return self.labels

    def describe(self, index: int) -> str:
        """Return the name of an image for error messages."""
        return f'image {index} of {self.folder}'

    def __len__(self) -> int:
        return self.header['num_images']

    def __getitem__(self, key: int | tuple[int, int]) -> dict:
        """Return ``dict(indices int64 (*grid), label, index, uniform)``.

        The key is an index, or (index, epoch) from the training sampler.

        Raises:
            UserError: A token is outside its codebook.
        """
        index, epoch = key if isinstance(key, tuple) else (key, 0)
        if self._tokens is None:
            self._tokens = open_tokens(self.folder, self.header)
        views = self.header['num_views']
        rng = np.random.default_rng((self.seed, epoch, index))
        view = int(rng.integers(views)) if views > 1 else 0
        # Checked before the conversion, because a uint64 may not fit in int64.
        wrong = beyond(self._tokens[index, view], self.codebooks)
        if wrong is not None:
            raise UserError(
                f'TokenCache: {self.describe(index)} has the token {wrong}, but its codebook has '
                f'{self.codebooks.max()} codes: {TOKENS} is damaged; copy it again.'
            )
        indices = torch.from_numpy(self._tokens[index, view].astype(np.int64))
        return dict(
            indices=indices,
            label=int(self.labels[index]),
            index=index,
            uniform=uniform(self.seed, epoch, index),
        )

    def check_model(self, model: nn.Module) -> str | None:
        """Check that the cache matches the tokenizer and classes of the model, and its images.

        Raises:
            UserError: The tokenizer is another one, a label is not a class of the model, or the
                images have changed.
        """
        if not is_generator(model):
            raise UserError('TokenCache has tokens, not images: it is only for generators.')
        tokenizer = model.tokenizer
        if weights_hash(tokenizer.encoder, tokenizer.quantizer) != self.header['tokenizer_hash']:
            raise UserError(
                f'TokenCache: {self.folder} was made by another tokenizer '
                f'({self.header["tokenizer"]["checkpoint"]}); set model.tokenizer.checkpoint to '
                f'that one, or run tools/tokenize_dataset.py with this one.'
            )
        doubt = super().check_model(model)
        if self.check_images:
            self._check_images()
        return doubt

    def _check_images(self) -> None:
        """Raise UserError if the images have changed; log a line if they are not accessible."""
        try:
            differ = changed(self.header)
        except UserError as error:
            print_log(
                f'TokenCache: cannot check whether the images of {self.folder} have changed: '
                f'{error}',
                'current',
            )
            return
        if differ:
            raise UserError(
                f'TokenCache: the images of {self.folder} have changed since (names, sizes or '
                f'times); run tools/tokenize_dataset.py with another --out, or set the data '
                f"set's check_images=False if only times differ, for example after a copy."
            )
