"""Rows of parquet files and of the Hugging Face hub as an endless stream that resumes exactly."""

import itertools
import logging
from collections.abc import Iterator

import numpy as np
import torch
from mmengine.dist import get_dist_info
from mmengine.logging import print_log
from torch import nn
from torch.utils.data import IterableDataset, get_worker_info

from openmagvit2.datasets.base import uniform
from openmagvit2.datasets.hugging_face_files import class_names, load_rows, read_row
from openmagvit2.datasets.labels import UNLABELLED
from openmagvit2.errors import UserError
from openmagvit2.io.images import Colour, UnreadableImage, to_colour
from openmagvit2.protocols import Classifying
from openmagvit2.registry import DATASETS, TRANSFORMS

# Unreadable rows in a row that raise an error.
MAX_UNREADABLE = 1000


@DATASETS.register_module()
class HFStream(IterableDataset):
    """An endless stream over the rows that :class:`HFDataset` has by number; nothing is copied.

    A training needs ``train_cfg.max_iters`` and ``train_dataloader.sampler=None``.

    Each reader (process x loader worker) has a part of the rows: whole files where their number is
    a multiple of that of the readers, else every n-th row, for which it passes over the others. A
    resumed training with as many readers and the same batch goes on bit for bit; each reader passes
    over the rows of its part that it had, without decoding them. Rows that cannot be read are
    logged and left out; after those a resume repeats as many rows.

    Args:
        path, split, image, label, revision, background: See :class:`HFDataset`.
        shuffle: Rows in the buffer that each reader draws from, after an order of files that is
            drawn anew for each pass; 1 keeps the order of the rows.
        pipeline: Configs of transforms.
        seed: Random seed for the order and the transforms.

    Raises:
        UserError: See :class:`HFDataset`; nothing can be read.
    """

    def __init__(
        self,
        *,
        path: str,
        split: str = 'train',
        image: str = 'image',
        label: str | None = 'label',
        revision: str | None = None,
        shuffle: int = 1000,
        background: Colour = 'white',
        pipeline: list[dict] | None = None,
        seed: int = 0,
    ) -> None:
        self.path, self.image, self.label = path, image, label
        self.shuffle, self.seed = shuffle, seed
        self.background = to_colour(background)
        name = type(self).__name__
        self.rows = load_rows(name, path, split, image, label, revision, streaming=True)
        self.classes = class_names(self.rows, label)
        self.pipeline = [TRANSFORMS.build(step) for step in pipeline or []]
        self.start, self.batch = 0, 1

    @property
    def num_classes(self) -> int | None:
        """Number of classes, or None where they are not known."""
        return len(self.classes) if self.classes is not None else None

    @property
    def metainfo(self) -> dict:
        """Names of the classes, where they are known."""
        return dict(classes=self.classes)

    def check_model(self, model: nn.Module) -> str | None:
        """Return what a training would not learn; see :meth:`ImageDataset.check_model`.

        Raises:
            UserError: There are more classes than the model's.
        """
        classes = model.num_classes if isinstance(model, Classifying) else None
        if classes is None:
            return None
        if self.num_classes is not None and self.num_classes > classes:
            raise UserError(
                f'HFStream has {self.num_classes} classes, the model {classes}; set '
                f'model.conditioner.num_classes={self.num_classes}.'
            )
        if self.label is None:
            return (
                f'HFStream: images have no labels (all are {UNLABELLED}), so the training is '
                f'unconditional: it learns the null class alone.'
            )
        return None

    def __len__(self) -> int:
        raise UserError(
            'HFStream is an endless stream: a training needs train_dataloader.sampler=None with '
            'it; to validate or to tokenize, use HFDataset.'
        )

    def seek(self, samples: int) -> None:
        """Go on after ``samples`` samples, counted over all processes."""
        self.start = samples

    def set_batch(self, size: int) -> None:
        """Say how many samples of a process are one batch, which one worker makes."""
        self.batch = size

    def __iter__(self) -> Iterator[dict]:
        """Yield ``dict(image=uint8 (3, H, W), label, index, uniform)``; ``index`` counts by part.

        Loader workers make batches in turn. After a resume worker 0 makes the next one, so that it
        takes over the part whose turn it is.
        """
        rank, world = get_dist_info()
        worker = get_worker_info()
        workers, number = (worker.num_workers, worker.id) if worker else (1, 0)
        batches = self.start // (world * self.batch)
        part = (batches + number) % workers
        seen = self.batch * ((batches - part + workers - 1) // workers)
        if workers == 1:
            seen = self.start // world
        reader = rank * workers + part
        names = ((f'row {i} of part {reader} of {self.path}', i) for i in itertools.count(seen))
        in_a_row = 0
        rows = itertools.islice(self._rows(reader, world * workers), seen, None)
        for row, (name, index) in zip(rows, names, strict=False):
            try:
                image, label = read_row(row, self.image, self.label, self.background, name)
            except UnreadableImage as error:
                in_a_row += 1
                print_log(f'HFStream: {error}', 'current', logging.ERROR)
                if in_a_row == MAX_UNREADABLE:
                    raise UserError(
                        f'HFStream: the last {in_a_row} rows could not be read; correct the '
                        f'files, or `image`.'
                    ) from error
                continue
            in_a_row = 0
            yield self._sample(image, label, reader, index)

    def _rows(self, reader: int, readers: int) -> Iterator[dict]:
        """Yield the undecoded rows of a reader's part, pass after pass.

        Order and buffer are ours: those of ``datasets`` differ between its versions.
        """
        files = self.rows.num_shards
        whole = files % readers == 0
        for epoch in itertools.count():
            rng = np.random.default_rng(np.random.SeedSequence((self.seed, epoch)))
            order = rng.permutation(files) if self.shuffle > 1 else np.arange(files)
            mine = order[reader::readers] if whole else order
            rows = itertools.chain.from_iterable(self._rows_of(file) for file in mine)
            if not whole:
                rows = itertools.islice(rows, reader, None, readers)
            rng = np.random.default_rng(np.random.SeedSequence((self.seed, epoch, reader)))
            empty = True
            for row in _shuffled(rows, self.shuffle, rng):
                empty = False
                yield row
            if empty:
                raise UserError(
                    f'HFStream: {self.path} has no row for reader {reader} of {readers} '
                    f'(processes x num_workers); use fewer.'
                )

    def _rows_of(self, file: int) -> Iterator[dict]:
        part = self.rows.shard(num_shards=self.rows.num_shards, index=int(file))
        try:
            # `iter` over batches, unlike the plain iterator, does not split by loader worker.
            for batch in part.iter(batch_size=16):
                names = list(batch)
                for values in zip(*batch.values(), strict=True):
                    yield dict(zip(names, values, strict=True))
        except Exception as error:  # a damaged file fails in many ways
            raise UserError(
                f'HFStream: file {file} of {self.path} cannot be read: {error}'
            ) from error

    def _sample(self, image: np.ndarray, label: int, reader: int, index: int) -> dict:
        rng = np.random.default_rng(np.random.SeedSequence((self.seed, reader, index)))
        sample = dict(image=image, label=label, index=index, rng=rng)
        for step in self.pipeline:
            sample = step(sample)
        pixels = torch.from_numpy(np.ascontiguousarray(sample['image'])).permute(2, 0, 1)
        return dict(
            image=pixels.contiguous(),
            label=sample['label'],
            index=index,
            uniform=uniform(self.seed, reader, index),
        )


def _shuffled(rows: Iterator[dict], size: int, rng: np.random.Generator) -> Iterator[dict]:
    """Yield each row once, drawn from a buffer of ``size`` rows."""
    buffer: list[dict] = []
    for row in rows:
        buffer.append(row)
        if len(buffer) >= size:
            place = int(rng.integers(len(buffer)))
            buffer[place], buffer[-1] = buffer[-1], buffer[place]
            yield buffer.pop()
    yield from (buffer[i] for i in rng.permutation(len(buffer)))
