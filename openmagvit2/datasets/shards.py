"""Images in tar shards, as a stream (spec §6.1), by the ``webdataset`` package."""

import io
import json
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from mmengine.dist import get_dist_info
from mmengine.logging import print_log
from PIL import Image
from torch.utils.data import IterableDataset, get_worker_info

from openmagvit2.registry import DATASETS, TRANSFORMS


@DATASETS.register_module()
class TarShards(IterableDataset):
    """An endless stream of the images of tar files; a training needs ``train_cfg.max_iters`` and ``train_dataloader.sampler=None``.

    Every process and loader worker reads shards of its own. A resumed training does not repeat the order it had: the stream is a function of
    (seed, process, worker, samples seen before), which is not bit for bit the stream of a training that never stopped.

    Args:
        urls: A folder of ``*.tar``, a pattern as ``shards/{000..127}.tar``, or a list of files.
        keys: Endings that hold an image, the first that a sample has: ``a.jpeg.jpg`` has the ending ``jpeg.jpg``.
        resampled: Each reader draws shards with replacement, as the official runs do; False: readers share the shards out, shuffled anew in
            every pass, and each sample comes once a pass.
        shuffle: Samples in the buffer that each reader draws from; 1 keeps the order of a shard.
        skip: A JSON list, or a text file with a line for each, of samples' names to leave out.
        pipeline: Configs of transforms.
        seed: Of shards, buffer and random transforms.

    Raises:
        ValueError: No shards; fewer shards than readers without resampling; shards without a usable sample.
    """

    def __init__(
        self,
        *,
        urls: str | Sequence[str],
        keys: Sequence[str] = ('jpg', 'jpeg.jpg', 'jpg.jpg', 'jpeg', 'png', 'webp'),
        resampled: bool = True,
        shuffle: int = 1000,
        skip: str | None = None,
        pipeline: list[dict] | None = None,
        seed: int = 0,
    ) -> None:
        self.shards = find_shards(urls)
        self.keys = tuple(keys)
        self.resampled, self.shuffle, self.seed = resampled, shuffle, seed
        self.skip = _names(skip) if skip else frozenset()
        self.pipeline = [TRANSFORMS.build(step) for step in pipeline or []]
        self.start = 0

    @property
    def metainfo(self) -> dict:
        """Classes are not known."""
        return dict(classes=None)

    def seek(self, samples: int) -> None:
        """Begin another stream, that of a training which has seen so many samples."""
        self.start = samples

    def __iter__(self) -> Iterator[dict]:
        """``dict(image=uint8 (3, H, W), label=0, index)``; the index counts what this reader gave."""
        rank, world = get_dist_info()
        worker = get_worker_info()
        workers = worker.num_workers if worker else 1
        reader = rank * workers + (worker.id if worker else 0)
        rng = np.random.default_rng(np.random.SeedSequence((self.seed, self.start, reader)))
        samples = self._shuffled(self._decoded(self._order(rng, reader, world * workers)), rng)
        for index, image in enumerate(samples):
            sample = dict(image=image, label=0, index=index, rng=rng)
            for step in self.pipeline:
                sample = step(sample)
            image = torch.from_numpy(np.ascontiguousarray(sample['image'])).permute(2, 0, 1).contiguous()
            yield dict(image=image, label=sample['label'], index=index)

    def _order(self, rng: np.random.Generator, reader: int, readers: int) -> Iterator[list[str]]:
        """Passes over shards."""
        if self.resampled:
            while True:
                yield [self.shards[i] for i in rng.integers(len(self.shards), size=len(self.shards))]
        if len(self.shards) < readers:
            raise ValueError(
                f'TarShards: {len(self.shards)} shards cannot be shared out to {readers} readers (processes x num_workers); '
                'set resampled=True, use fewer workers, or cut the data into more shards.'
            )
        epoch = 0
        while True:
            # All readers draw the same order, and each takes every so many shards of it.
            order = np.random.default_rng(np.random.SeedSequence((self.seed, self.start, epoch))).permutation(len(self.shards))
            yield [self.shards[i] for i in order[reader::readers]]
            epoch += 1

    def _decoded(self, passes: Iterator[list[str]]) -> Iterator[np.ndarray]:
        """Images uint8 (H, W, 3); what cannot be read is counted and named in the log."""
        unreadable = 0
        for shards in passes:
            given = 0
            for sample in _samples(shards):
                name = f'{sample["__url__"]}: {sample["__key__"]}'
                error = sample.get('error')
                if error is None and sample['__key__'] in self.skip:
                    given += 1  # left out on purpose
                    continue
                key = next((key for key in self.keys if key in sample), None)
                if error is None and key is None:
                    continue
                if error is None:
                    try:
                        with Image.open(io.BytesIO(sample[key])) as image:
                            decoded = np.array(image.convert('RGB'))
                    except Exception as failure:  # Pillow fails in many ways
                        error = failure
                if error is not None:
                    unreadable += 1
                    print_log(f'TarShards: {name} cannot be read ({error}); {unreadable} so far in this reader.', 'current', logging.WARNING)
                    continue
                given += 1
                yield decoded
            if not given:
                endings = ', '.join(self.keys)
                raise ValueError(f'TarShards: no readable image with an ending of {endings} in {", ".join(shards[:3])}; mend `keys`.')

    def _shuffled(self, images: Iterator[np.ndarray], rng: np.random.Generator) -> Iterator[np.ndarray]:
        buffer: list[np.ndarray] = []
        for image in images:
            buffer.append(image)
            if len(buffer) >= self.shuffle:
                place = int(rng.integers(len(buffer)))
                buffer[place], buffer[-1] = buffer[-1], buffer[place]
                yield buffer.pop()


def find_shards(urls: str | Sequence[str]) -> list[str]:
    """Paths of the shards that ``urls`` of :class:`TarShards` names, sorted within a folder.

    Raises:
        ValueError: There are none, or the package is not installed.
    """
    try:
        from webdataset.shardlists import expand_urls
    except ImportError as error:
        raise ValueError('TarShards needs the package webdataset: pip install -e ".[optional]".') from error
    if isinstance(urls, str) and Path(urls).is_dir():
        found = sorted(str(path) for path in Path(urls).glob('*.tar'))
    else:
        found = [path for url in ([urls] if isinstance(urls, str) else urls) for path in expand_urls(url)]
    missing = [path for path in found if '://' not in path and not Path(path).is_file()]
    if missing or not found:
        what = f'shard {missing[0]} does not exist' if missing else f'no *.tar in {urls}'
        raise ValueError(f'TarShards: {what}; name a folder or files in OPENMAGVIT2_SHARDS or in `train_dataloader.dataset.urls`.')
    return found


def _samples(shards: list[str]) -> Iterator[dict]:
    """Samples of shards in order; a shard that breaks off gives a dict with an ``error`` in the place of the rest."""
    from webdataset.tariterators import group_by_keys, tar_file_expander, url_opener

    for shard in shards:
        try:
            yield from group_by_keys(tar_file_expander(url_opener([dict(url=shard)])))
        except Exception as error:  # tarfile and the openers fail in many ways
            yield dict(__url__=shard, __key__='rest of the shard', error=str(error.args[0] if error.args else error))


def _names(path: str) -> frozenset[str]:
    if not Path(path).is_file():
        raise ValueError(f'TarShards: skip={path!r} does not exist.')
    text = Path(path).read_text(encoding='utf-8')
    return frozenset(json.loads(text) if path.endswith('.json') else text.split('\n'))
