"""Images in tar shards as a stream, read by the ``webdataset`` package.

See docs/reference/specification.md, Data.
"""

import itertools
import json
import logging
import os
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

import numpy as np
from mmengine.dist import get_dist_info
from mmengine.logging import print_log
from torch.utils.data import get_worker_info

from openmagvit2.datasets.labels import UNLABELED
from openmagvit2.datasets.streams import ImageStream, shuffled
from openmagvit2.datasets.tar_files import TooLarge, samples
from openmagvit2.errors import UserError
from openmagvit2.io import Color, read_lines, read_picture, usable
from openmagvit2.io.image_files import ENDINGS
from openmagvit2.registry import DATASETS

# The first of these keys that a sample has is its image.
KEYS = ('jpg', 'jpeg.jpg', 'jpg.jpg', 'jpeg', 'png', 'webp')
KEYS += tuple(ending[1:] for ending in ENDINGS if ending[1:] not in KEYS)


@DATASETS.register_module()
class TarShards(ImageStream):
    """An endless stream of the images in tar files; see :class:`ImageStream`.

    All processes and loader workers draw the same order of shards from (seed, samples seen before,
    epoch), and each reads its own part. A resumed training therefore continues with another order,
    not bit for bit with the rest of the old one. Unreadable samples are named and counted in the
    log of the process that reads them, as errors, because mmengine drops warnings of all processes
    but the first.

    Args:
        urls: A folder of ``*.tar``, a pattern such as ``shards/{000..127}.tar``, or a list of
            files.
        keys: Extensions of image files in lower case, in order of preference; ``a.jpeg.jpg`` has
            the extension ``jpeg.jpg``. By default, all extensions of images.
        resampled: Draw shards with replacement, as in the official runs. False: each shard, and so
            each sample, occurs once per epoch.
        shuffle: Number of encoded images in each reader's shuffle buffer; 1 keeps the order of a
            shard.
        skip: File with the names of samples to skip: a JSON list, or a text file with one per line.
        background, pipeline, seed: See :class:`ImageStream`.

    Raises:
        UserError: There are no shards, or without resampling fewer than readers; a shard has no
            file with an extension of ``keys``; or nothing can be read.
    """

    correct = '`keys` or the files'

    def __init__(
        self,
        *,
        urls: str | Sequence[str],
        keys: Sequence[str] = KEYS,
        resampled: bool = True,
        shuffle: int = 1000,
        skip: str | None = None,
        background: Color = 'white',
        pipeline: list[dict] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(background, pipeline, seed)
        self.shards = find_shards(urls)
        self.keys = tuple(keys)
        self.resampled, self.shuffle = resampled, shuffle
        self.skip = _names(skip) if skip else frozenset()

    def __iter__(self) -> Iterator[dict]:
        """Yield ``dict(image=uint8 (3, H, W), label=-1, index)``; ``index`` counts per reader."""
        rank, world = self.place or get_dist_info()
        worker = get_worker_info()
        workers = worker.num_workers if worker else 1
        reader = rank * workers + (worker.id if worker else 0)
        rng = np.random.default_rng((self.seed, self.start, reader))
        report = _Report(reader)
        encoded = self._encoded(self._passes(reader, world * workers), report)
        images = self.readable(
            shuffled(encoded, self.shuffle, rng),
            lambda file: read_picture(file[1], self.background, file[0]),
            lambda error: report.log(error.name, error.reason),
        )
        for index, (_, image) in enumerate(images):
            yield self.sample(image, UNLABELED, index, rng)

    def _passes(self, reader: int, readers: int) -> Iterator[list[str]]:
        """Yield this reader's shards of each epoch: every n-th of an order that all share."""
        count = len(self.shards)
        if count < readers and not self.resampled:
            raise UserError(
                f'TarShards: {count} shards cannot be distributed over {readers} readers '
                f'(processes x num_workers); set resampled=True, use fewer workers, or split the '
                f'data into more shards.'
            )
        for epoch in itertools.count():
            rng = np.random.default_rng((self.seed, self.start, epoch))
            if self.resampled:
                order = rng.integers(count, size=max(count, readers))
            else:
                order = rng.permutation(count)
            yield [self.shards[i] for i in order[reader::readers]]

    def _encoded(
        self, passes: Iterator[list[str]], report: '_Report'
    ) -> Iterator[tuple[str, bytes]]:
        """Yield names and encoded images."""
        for shards in passes:
            found = 0
            for shard in shards:
                found += yield from self._of_shard(shard, report)
            if not found:
                raise UserError(
                    f'TarShards: nothing in {", ".join(shards[:3])} can be read; replace the files.'
                )

    def _of_shard(self, shard: str, report: '_Report') -> Generator[tuple[str, bytes], None, int]:
        """Yield names and encoded images of a shard; return the number of its samples, including
        skipped ones.
        """
        count, broken = 0, False
        without: list[str] = []
        for sample in samples(shard):
            key = next((key for key in self.keys if key in sample), None)
            if '__error__' in sample:
                broken = True
                report.log(f'the rest of shard {shard}', sample['__error__'])
            elif sample['__key__'] in self.skip:
                count += 1
            elif key is None:
                without.append(sample['__key__'])
            elif isinstance(sample[key], TooLarge):
                count += 1
                report.log(f'{shard}: {sample["__key__"]}.{key}', sample[key])
            else:
                count += 1
                yield f'{shard}: {sample["__key__"]}', sample[key]
        endings = ', '.join(self.keys)
        if not count and not broken:
            raise UserError(
                f'TarShards: {shard} has no sample with an extension of {endings}; correct `keys` '
                f'or `urls`.'
            )
        if without:
            report.log(f'{shard}: {without[0]}', f'no extension of {endings}', len(without))
        return count


class _Report:
    """Counts and logs the samples that a reader cannot read."""

    def __init__(self, reader: int) -> None:
        self.reader, self.count = reader, 0

    def log(self, name: str, reason: object, count: int = 1) -> None:
        """Log why ``count`` samples, the first of which is ``name``, cannot be read."""
        self.count += count
        more = f' and {count - 1} more there' if count > 1 else ''
        text = (
            f'TarShards: {name}{more} cannot be read ({reason}); {self.count} so far in reader '
            f'{self.reader}.'
        )
        print_log(text, 'current', logging.ERROR)


def find_shards(urls: str | Sequence[str]) -> list[str]:
    """Return the paths of the shards of ``urls``, see :class:`TarShards`; those of a folder sorted.

    Raises:
        UserError: There are none, or the package is not installed.
    """
    try:
        from webdataset.shardlists import expand_urls
    except ImportError as error:
        raise UserError(
            'TarShards needs the package webdataset: pip install -e ".[optional]".'
        ) from error
    if isinstance(urls, str) and usable(urls).is_dir():
        found = sorted(str(path) for path in Path(urls).glob('*.tar'))
    else:
        found = [
            path for url in ([urls] if isinstance(urls, str) else urls) for path in expand_urls(url)
        ]
    missing = [
        path
        for path in found
        if '://' not in path and not path.startswith('pipe:') and not os.path.isfile(path)
    ]
    if missing or not found:
        what = f'shard {missing[0]} does not exist' if missing else f'no *.tar in {urls}'
        raise UserError(
            f'TarShards: {what}; name a folder or files in OPENMAGVIT2_SHARDS or in '
            f'`train_dataloader.dataset.urls`.'
        )
    return found


def _names(path: str) -> frozenset[str]:
    if not usable(path).is_file():
        raise UserError(f'TarShards: skip={path!r} does not exist.')
    if not path.endswith('.json'):
        return frozenset(line for _, line in read_lines(path))
    try:
        names = json.loads(Path(path).read_text(encoding='utf-8-sig'))
    except ValueError as error:
        raise UserError(f'TarShards: skip={path!r} is not JSON ({error}).') from error
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UserError(f'TarShards: skip={path!r} must hold a list of names.')
    return frozenset(names)
