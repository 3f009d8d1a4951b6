"""Rows of parquet files and of the Hugging Face hub as an endless stream that resumes exactly."""

import itertools
import logging
from collections.abc import Iterator

import numpy as np
from mmengine.dist import get_dist_info
from mmengine.logging import print_log
from torch.utils.data import get_worker_info

from openmagvit2.datasets.base import uniform
from openmagvit2.datasets.hugging_face_files import class_names, load_rows, read_row
from openmagvit2.datasets.streams import ImageStream, shuffled
from openmagvit2.errors import UserError
from openmagvit2.io import Colour
from openmagvit2.registry import DATASETS


@DATASETS.register_module()
class HFStream(ImageStream):
    """An endless stream over the rows that :class:`HFDataset` has by number; nothing is copied.

    Each reader (process x loader worker) has a part of the rows: whole files where their number is
    a multiple of that of the readers, else every n-th row, for which it passes over the others. A
    resumed training with as many readers and the same batch goes on bit for bit; each reader passes
    over the rows of its part that it had, without decoding them. Rows that cannot be read are
    logged and left out; after those a resume repeats as many rows.

    Args:
        path, split, image, label, revision, background: See :class:`HFDataset`.
        shuffle: Rows in the buffer that each reader draws from, after an order of files that is
            drawn anew for each pass; 1 keeps the order of the rows.
        pipeline, seed: See :class:`ImageStream`.

    Raises:
        UserError: See :class:`HFDataset`; nothing can be read.
    """

    instead = 'use HFDataset'
    items, correct = 'rows', 'the files, or `image`'

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
        super().__init__(background, pipeline, seed)
        self.path, self.image, self.label = path, image, label
        self.labelled = label is not None
        self.shuffle, self.batch = shuffle, 1
        name = type(self).__name__
        self.rows = load_rows(name, path, split, image, label, revision, streaming=True)
        self.classes = class_names(self.rows, label)

    def set_batch(self, size: int) -> None:
        """Say how many samples of a process are one batch, which one worker makes."""
        self.batch = size

    def __iter__(self) -> Iterator[dict]:
        """Yield ``dict(image=uint8 (3, H, W), label, index, uniform)``; ``index`` counts by part.

        Loader workers make batches in turn. After a resume worker 0 makes the next one, so that it
        takes over the part whose turn it is.
        """
        rank, world = self.place or get_dist_info()
        worker = get_worker_info()
        workers, number = (worker.num_workers, worker.id) if worker else (1, 0)
        batches = self.start // (world * self.batch)
        part = (batches + number) % workers
        seen = self.batch * ((batches - part + workers - 1) // workers)
        if workers == 1:
            seen = self.start // world
        reader = rank * workers + part
        rows = itertools.islice(self._rows(reader, world * workers), seen, None)
        samples = self.readable(
            enumerate(rows, seen),
            lambda item: self._read(item[1], f'row {item[0]} of part {reader} of {self.path}'),
            lambda error: print_log(f'HFStream: {error}', 'current', logging.ERROR),
        )
        for (index, _), (image, label) in samples:
            rng = np.random.default_rng((self.seed, reader, index))
            drawn = uniform(self.seed, reader, index)
            yield self.sample(image, label, index, rng) | dict(uniform=drawn)

    def _read(self, row: dict, name: str) -> tuple[np.ndarray, int]:
        return read_row(row, self.image, self.label, self.background, name)

    def _rows(self, reader: int, readers: int) -> Iterator[dict]:
        """Yield the undecoded rows of a reader's part, pass after pass.

        Order and buffer are ours: those of ``datasets`` differ between its versions.
        """
        files = self.rows.num_shards
        whole = files % readers == 0
        for epoch in itertools.count():
            rng = np.random.default_rng((self.seed, epoch))
            order = rng.permutation(files) if self.shuffle > 1 else np.arange(files)
            mine = order[reader::readers] if whole else order
            rows = itertools.chain.from_iterable(self._rows_of(file) for file in mine)
            if not whole:
                rows = itertools.islice(rows, reader, None, readers)
            rng = np.random.default_rng((self.seed, epoch, reader))
            empty = True
            for row in shuffled(rows, self.shuffle, rng):
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
