"""Rows of parquet files or of the Hugging Face hub as an endless stream that resumes exactly."""

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
from openmagvit2.io import Color
from openmagvit2.registry import DATASETS


@DATASETS.register_module()
class HFStream(ImageStream):
    """An endless stream over the rows that :class:`HFDataset` reads by index, without copying them.

    Each reader (process x loader worker) has a part of the rows: whole files if their number is a
    multiple of the number of readers, otherwise every n-th row, where it skips the others. Resuming
    with the same number of readers and batch size continues bit for bit: each reader skips the rows
    that it has read, without decoding them. Unreadable rows are logged and skipped; after them,
    resuming repeats as many rows.

    Args:
        path, split, image, label, revision, background: See :class:`HFDataset`.
        shuffle: Number of rows in each reader's shuffle buffer. The order of the files is also
            random in each epoch. 1 keeps the order of files and rows.
        pipeline, seed: See :class:`ImageStream`.

    Raises:
        UserError: See :class:`HFDataset`; or nothing can be read.
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
        background: Color = 'white',
        pipeline: list[dict] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(background, pipeline, seed)
        self.path, self.image, self.label = path, image, label
        self.labeled = label is not None
        self.shuffle, self.batch = shuffle, 1
        name = type(self).__name__
        self.rows = load_rows(name, path, split, image, label, revision, streaming=True)
        self.classes = class_names(self.rows, label)

    def set_batch(self, size: int) -> None:
        """Set the batch size per process; each batch is made by one worker."""
        self.batch = size

    def __iter__(self) -> Iterator[dict]:
        """Yield ``dict(image=uint8 (3, H, W), label, index, uniform)``; ``index`` counts per part.

        Loader workers make batches in turn. After resuming, worker 0 makes the next batch, so it
        takes the part whose turn it is.
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
        """Yield the undecoded rows of a reader's part, epoch after epoch.

        We shuffle ourselves, because ``datasets`` shuffles differently in different versions.
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
                    f'(processes x num_workers); use fewer readers.'
                )

    def _rows_of(self, file: int) -> Iterator[dict]:
        part = self.rows.shard(num_shards=self.rows.num_shards, index=int(file))
        try:
            # Unlike the plain iterator, iterating over batches does not split by loader worker.
            for batch in part.iter(batch_size=16):
                names = list(batch)
                for values in zip(*batch.values(), strict=True):
                    yield dict(zip(names, values, strict=True))
        except Exception as error:  # a damaged file fails in many ways
            raise UserError(
                f'HFStream: file {file} of {self.path} cannot be read: {error}'
            ) from error
