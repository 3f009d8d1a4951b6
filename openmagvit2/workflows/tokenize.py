"""Tokens of a whole data set, once and for all trainings of generators."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dist import get_dist_info, is_main_process
from mmengine.logging import print_log
from torch import nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from openmagvit2.apis.init_model import init_model
from openmagvit2.checkpoint.hashing import weights_hash
from openmagvit2.checkpoint.stages import is_generator
from openmagvit2.config.values import check_workers
from openmagvit2.datasets import ImageDataset
from openmagvit2.datasets.token_files import (
    FORMAT,
    HEADER,
    LABELS,
    LABELS_START,
    TOKENS,
    check_sizes,
    read_header,
    token_bytes,
    token_dtype,
)
from openmagvit2.datasets.views import ViewBatches, Views
from openmagvit2.engine.numerics import seed_of
from openmagvit2.errors import UserError
from openmagvit2.io import (
    make_folder,
    reserve,
    usable_text,
    write_atomically,
    write_range,
    write_text,
)
from openmagvit2.processes import long_barrier, on_main
from openmagvit2.registry import DATASETS

# The same tokenizer may lie elsewhere, and new files that cannot be read change no token.
NOT_COMPARED = ('finished', 'tokenizer', 'listing')
# Crops of a pipeline that `--crops` replaces.
CROPS = ('RandomCrop', 'CenterCrop', 'RandomTenCrop')
# Views of an image are a data set each.
MOST_CROPS = 10000
CORNERS = ('centre', 'top_left', 'top_right', 'bottom_left', 'bottom_right')


def views_of(pipeline: list[dict], crops: str, flip: bool) -> list[tuple[list[dict], int]]:
    """Return pipelines and epochs whose images are the views of a picture.

    Args:
        pipeline: Pipeline of the data set; ``crops`` replaces its crop, and its random flip is
            removed.
        crops: 'centre'; 'ten': corners and centre, each also mirrored; 'random:N': the crops that a
            training sees in its first N epochs.
        flip: Also mirror each view.

    Raises:
        UserError: Another word, or no crop in the pipeline to replace.
    """
    steps = [dict(step) for step in pipeline if step['type'] != 'RandomFlip']
    places = [i for i, step in enumerate(steps) if step['type'] in CROPS]
    kind, _, count = crops.partition(':')
    if kind == 'random' and count.isdecimal() and 0 < int(count) <= MOST_CROPS:
        views = [(steps, epoch) for epoch in range(int(count))]
    elif crops == 'centre':
        views = [(_placed(steps, places, 'centre'), 0)]
    elif crops == 'ten':
        if not places:
            raise UserError(
                f'--crops ten: the pipeline of the data set has no {" or ".join(CROPS)} to replace.'
            )
        views, flip = [(_placed(steps, places, corner), 0) for corner in CORNERS], True
    else:
        raise UserError(
            f"--crops must be 'centre', 'ten', or 'random:N' with N from 1 to {MOST_CROPS}, got "
            f'{crops!r}.'
        )
    if flip:
        mirror = dict(type='RandomFlip', prob=1.0)
        views += [([*steps, mirror], epoch) for steps, epoch in views]
    return views


def tokenize(
    config: Config,
    checkpoint: str,
    out: str | Path,
    crops: str = 'centre',
    flip: bool = False,
    split: str = 'train',
    batch_size: int = 64,
    num_workers: int = 0,
    device: str | None = None,
    block: int = 1024,
) -> dict:
    """Write the token cache of a data set; resume where a killed call stopped, to the same bytes.

    Args:
        config: Config of a tokenizer; ``<split>_dataloader.dataset`` is tokenized.
        checkpoint: Its weights; averaged ones where there are any.
        out: Receives ``tokens.bin``, ``labels.npy`` and ``header.json``.
        crops, flip: See :func:`views_of`.
        split: 'train' or 'val'.
        batch_size, num_workers, device: Settings of this process.
        block: Images between two marks of progress; processes take blocks in turn.

    Returns:
        The header.

    Raises:
        UserError: ``out`` holds tokens of other settings; the config is of no tokenizer; its data
            set has no images by number; the checkpoint's encoder gives NaN or infinite numbers.
    """
    out = Path(out)
    _check_numbers(batch_size, num_workers)
    # The seed that a training's random crops have.
    spec = dict(seed=seed_of(config)) | _data_set(config, f'{split}_dataloader')
    model = _init_tokenizer(config, checkpoint, device)
    views = _views(spec, crops, flip, f'{split}_dataloader.dataset')
    recipe = dict(split=split, crops=crops, flip=flip, dataset=spec)
    header = _header(model, config, checkpoint, views, recipe)
    header |= dict(batch_size=batch_size, block=block)
    if on_main(lambda: _begin(out, header)):
        print_log(f'{out} is finished already, with these settings and images.', 'current')
        return header | dict(finished=True)
    _encode_blocks(model, views, out, header, num_workers)
    # Blocks are as uneven as the machines.
    long_barrier()
    header |= dict(finished=True)
    _finish(out, header)
    long_barrier()
    return header


def _check_numbers(batch_size: int, num_workers: int) -> None:
    if batch_size < 1:
        raise UserError(f'--batch-size must be at least 1, got {batch_size}.')
    check_workers('--num-workers', num_workers)


def _data_set(config: Config, key: str) -> dict:
    found = (config.to_dict().get(key) or {}).get('dataset')
    if not found:
        raise UserError(f'{config.filename} has no {key}.dataset to tokenize.')
    return found


def _finish(out: Path, header: dict) -> None:
    """Write the finished header in the main process, and only then remove the marks."""
    if is_main_process():
        write_text(out / HEADER, _text(header))
        _remove_marks(out)


def _init_tokenizer(config: Config, checkpoint: str, device: str | None) -> nn.Module:
    model = init_model(config, checkpoint, device)
    if is_generator(model):
        raise UserError(
            f'Tokenizing needs the config of a tokenizer; this one builds {type(model).__name__}.'
        )
    return model


def _views(spec: dict, crops: str, flip: bool, key: str) -> Views:
    dataset = DATASETS.build(spec)
    if not isinstance(dataset, ImageDataset):
        raise UserError(
            f'{key}: tokens need images that can be read by number; {spec["type"]} has none.'
        )
    steps = views_of(spec.get('pipeline') or [], crops, flip)
    return Views([(dataset.with_pipeline(pipeline), epoch) for pipeline, epoch in steps])


def _encode_blocks(model, views: Views, out: Path, header: dict, num_workers: int) -> None:
    """Encode this process's part of the blocks that have no mark yet, by one loader: starting its
    workers can take longer than a block.
    """
    rank, world = get_dist_info()
    count, size = header['num_images'], header['block']
    # Marks belong to blocks, not to processes: a second start may have another number of them.
    left = [
        number
        for number in range(-(-count // size))
        if number % world == rank and not _mark(out, number).exists()
    ]
    if not left:
        return
    blocks = [range(number * size, min((number + 1) * size, count)) for number in left]
    sampler = ViewBatches(blocks, header['num_views'], header['batch_size'])
    batches = iter(DataLoader(views, batch_sampler=sampler, num_workers=num_workers))
    bar = tqdm(left, desc=f'blocks of {size} images', disable=not is_main_process())
    for number, rows in zip(bar, blocks, strict=True):
        tokens, labels = _encode_block(model, batches, rows, header)
        # Whole blocks at once; the mark must not be on the disk before what it stands for.
        write_range(out / TOKENS, rows.start * tokens[0].nbytes, tokens.data)
        write_range(out / LABELS, LABELS_START + rows.start * labels.itemsize, labels.data)
        write_text(_mark(out, number), 'done\n')


@torch.no_grad()
def _encode_block(
    model, batches: Iterator[dict], rows: range, header: dict
) -> tuple[np.ndarray, np.ndarray]:
    """Return tokens (images, views, *grid) and labels (images,) of one block.

    Raises:
        UserError: The encoder gives NaN or infinite numbers, whose tokens would look like any
            others.
    """
    size, checkpoint = header['batch_size'], header['tokenizer']['checkpoint']
    tokens = np.empty((len(rows), header['num_views'], *header['grid']), header['dtype'])
    labels = np.empty(len(rows), np.int64)
    for view in range(header['num_views']):
        for start in range(0, len(rows), size):
            batch, end = next(batches), min(start + size, len(rows))
            image = model.data_preprocessor(dict(image=batch['image']), False)['image']
            output = model.encode(image)
            output.check_finite(
                f'images {rows[start]} to {rows[end - 1]} with the weights of {checkpoint}'
            )
            tokens[start:end, view] = output.indices.cpu().numpy()
            labels[start:end] = batch['label'].numpy()
    return tokens, labels


def _header(model, config: Config, checkpoint: str, views: Views, recipe: dict) -> dict:
    images = views.pictures
    return dict(
        **tokenizer_header(model, config, checkpoint, views.shape[1:]),
        num_images=len(images),
        **_fingerprints(images, recipe['dataset']),
        num_views=len(views.views),
        classes=images.metainfo['classes'],
        recipe=_as_json(recipe),
        finished=False,
    )


def tokenizer_header(
    model, config: Config, checkpoint: str | Path, size: tuple[int, int]
) -> dict[str, Any]:
    """Return what the header of a cache says of the tokenizer and its tokens.

    Args:
        size: Height and width of the images.
    """
    sizes = model.quantizer.codebook_sizes
    return dict(
        format=FORMAT,
        # With several codebooks the last axis is theirs.
        grid=list(model.quantizer.token_shape(model.encoder.grid(size))),
        dtype=str(token_dtype(max(sizes))),
        codebook_size=sizes[0] if len(sizes) == 1 else list(sizes),
        bit_order=model.quantizer.bit_order,
        tokenizer=dict(config=_as_json(config.model.to_dict()), checkpoint=str(checkpoint)),
        tokenizer_hash=weights_hash(model.encoder, model.quantizer),
    )


def _as_json(value: dict) -> dict:
    """Return the value as it is read again from the header."""
    return json.loads(json.dumps(value, default=str))


def _fingerprints(images: ImageDataset, spec: dict) -> dict[str, str | None]:
    """Fingerprint the images, and the listing of all files that the data set's config names; the
    listing can be checked again without reading images.
    """
    found = images.fingerprint()
    if spec.get('on_error') != 'skip':
        return dict(fingerprint=found, listing=found)
    every = DATASETS.build(dict(spec, on_error='raise'))
    return dict(fingerprint=found, listing=every.fingerprint())


def _begin(out: Path, header: dict) -> bool:
    """Make or check the folder; return whether it is finished.

    Raises:
        UserError: It cannot be written to, or holds other tokens.
    """
    if not (usable_text(out) / HEADER).is_file():
        make_folder(out)
        # They would stand for blocks of a header that is gone.
        _remove_marks(out)
        # Better here than after hours.
        reserve(out / TOKENS, token_bytes(header))
        with write_atomically(out / LABELS) as file:
            np.save(file, np.zeros(header['num_images'], np.int64))
        # Last, since it says that the others are there.
        write_text(out / HEADER, _text(header))
        return False
    old = read_header(out)
    known = {key: value for key, value in old.items() if key not in NOT_COMPARED}
    other = [key for key, value in known.items() if header.get(key) != value]
    # The same recipe gives other images.
    if other and set(other) <= {'fingerprint', 'num_images', 'classes'}:
        raise UserError(
            f'{out} holds tokens of images that have changed since (names, sizes or times); give '
            f'another --out, or remove it.'
        )
    # Other settings may choose other images.
    other = [key for key in other if key != 'fingerprint']
    if other:
        raise UserError(
            f'{out} holds tokens of other settings ({", ".join(other)}); give another --out, or '
            f'remove it.'
        )
    check_sizes(out, old)
    if not old['finished']:
        return False
    if old.get('listing') != header['listing']:
        write_text(out / HEADER, _text(old | dict(listing=header['listing'])))
    # A kill may have come between the end and the clearing up.
    _remove_marks(out)
    return True


def _text(header: dict) -> str:
    return json.dumps(header, indent=2, default=str) + '\n'


def _mark(out: Path, number: int) -> Path:
    return out / f'.block-{number:06d}'


def _remove_marks(out: Path) -> None:
    for mark in out.glob('.block-*'):
        mark.unlink(missing_ok=True)


def _placed(steps: list[dict], places: list[int], corner: str) -> list[dict]:
    """Return the pipeline with its crop at a corner or in the centre."""
    step = 'CenterCrop' if corner == 'centre' else 'CornerCrop'
    extra = {} if corner == 'centre' else dict(corner=corner)
    return [
        dict(type=step, size=old['size'], **extra) if i in places else old
        for i, old in enumerate(steps)
    ]
