"""Tokenizing of a data set, once for all trainings of generators."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dist import get_dist_info, is_main_process
from mmengine.logging import print_log
from torch.utils.data import DataLoader
from tqdm import tqdm

from openmagvit2.apis.tokenizer import Tokenizer
from openmagvit2.checkpoint.hashing import weights_hash
from openmagvit2.config.values import check_workers
from openmagvit2.datasets import ImageDataset
from openmagvit2.datasets.token_files import FORMAT, token_dtype
from openmagvit2.datasets.views import ViewBatches, Views
from openmagvit2.engine.numerics import seed_of
from openmagvit2.errors import UserError
from openmagvit2.processes import long_barrier, on_main
from openmagvit2.registry import DATASETS
from openmagvit2.workflows.crops import views_of
from openmagvit2.workflows.token_folder import TokenFolder


def tokenize(
    config: Config,
    checkpoint: str,
    out: str | Path,
    crops: str = 'center',
    flip: bool = False,
    split: str = 'train',
    batch_size: int = 64,
    num_workers: int = 0,
    device: str | None = None,
    block: int = 1024,
) -> dict:
    """Write the token cache of a data set.

    A call that was killed can be repeated: it continues, and the bytes are the same.

    Args:
        config: Config of a tokenizer; ``<split>_dataloader.dataset`` is tokenized.
        checkpoint: Its checkpoint; averaged weights are used if it has them.
        out: Receives ``tokens.bin``, ``labels.npy`` and ``header.json``.
        crops, flip: See :func:`openmagvit2.workflows.crops.views_of`.
        split: 'train' or 'val'.
        batch_size, num_workers, device: Settings of this process.
        block: Images per block; processes take blocks in turn, and a call continues after the
            finished blocks.

    Returns:
        The header.

    Raises:
        UserError: ``out`` has tokens with other settings, the config is not of a tokenizer, images
            cannot be read by index, or the encoder returns NaN or infinite values.
    """
    _check_numbers(batch_size, num_workers)
    crops = crops.replace('centre', 'center')  # the spelling of earlier versions
    # The same seed as for the random crops of a training.
    spec = dict(seed=seed_of(config)) | _data_set(config, f'{split}_dataloader')
    model = Tokenizer.from_config(config, checkpoint, device).model
    views = _views(spec, crops, flip, f'{split}_dataloader.dataset')
    recipe = dict(split=split, crops=crops, flip=flip, dataset=spec)
    header = _header(model, config, checkpoint, views, recipe)
    header |= dict(batch_size=batch_size, block=block)
    folder = TokenFolder(Path(out), header)
    if on_main(folder.begin):
        print_log(f'{out} is already finished, with these settings and images.', 'current')
        return header | dict(finished=True)
    _encode_blocks(model, views, folder, num_workers)
    # Machines may differ in speed by hours.
    long_barrier()
    return on_main(folder.finish)


def _check_numbers(batch_size: int, num_workers: int) -> None:
    if batch_size < 1:
        raise UserError(f'--batch-size must be at least 1, got {batch_size}.')
    check_workers('--num-workers', num_workers)


def _data_set(config: Config, key: str) -> dict:
    found = (config.to_dict().get(key) or {}).get('dataset')
    if not found:
        raise UserError(f'{config.filename} has no {key}.dataset to tokenize.')
    return found


def _views(spec: dict, crops: str, flip: bool, key: str) -> Views:
    dataset = DATASETS.build(spec)
    if not isinstance(dataset, ImageDataset):
        raise UserError(
            f'{key}: tokenizing needs images that can be read by index, which {spec["type"]} does '
            f'not have.'
        )
    steps = views_of(spec.get('pipeline') or [], crops, flip)
    return Views([(dataset.with_pipeline(pipeline), epoch) for pipeline, epoch in steps])


def _encode_blocks(model, views: Views, folder: TokenFolder, num_workers: int) -> None:
    """Encode the unfinished blocks of this process with a single loader, because starting workers
    may take longer than a block.
    """
    rank, world = get_dist_info()
    left = [number for number in folder.left() if number % world == rank]
    if not left:
        return
    header = folder.header
    blocks = [folder.rows(number) for number in left]
    sampler = ViewBatches(blocks, header['num_views'], header['batch_size'])
    batches = iter(DataLoader(views, batch_sampler=sampler, num_workers=num_workers))
    bar = tqdm(left, desc=f'blocks of {header["block"]} images', disable=not is_main_process())
    for number, rows in zip(bar, blocks, strict=True):
        folder.write(number, *_encode_block(model, batches, rows, header))


@torch.no_grad()
def _encode_block(
    model, batches: Iterator[dict], rows: range, header: dict
) -> tuple[np.ndarray, np.ndarray]:
    """Return tokens (images, views, *grid) and labels (images,) of one block.

    Raises:
        UserError: The encoder returns NaN or infinite values, whose tokens would look valid.
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
    """Return the entries of a cache's header about the tokenizer and its tokens.

    Args:
        model, config, checkpoint: The tokenizer.
        size: Height and width of the images.
    """
    sizes = model.quantizer.codebook_sizes
    return dict(
        format=FORMAT,
        # With several codebooks, they are the last axis.
        grid=list(model.quantizer.token_shape(model.encoder.grid(size))),
        dtype=str(token_dtype(max(sizes))),
        codebook_size=sizes[0] if len(sizes) == 1 else list(sizes),
        bit_order=model.quantizer.bit_order,
        tokenizer=dict(config=_as_json(config.model.to_dict()), checkpoint=str(checkpoint)),
        tokenizer_hash=weights_hash(model.encoder, model.quantizer),
    )


def _as_json(value: dict) -> dict:
    """Return the value as it will be read from the header."""
    return json.loads(json.dumps(value, default=str))


def _fingerprints(images: ImageDataset, spec: dict) -> dict[str, str | None]:
    """Return the fingerprint of the images, and that of all files of the data set's config, which
    can be checked again without reading images.
    """
    found = images.fingerprint()
    if spec.get('on_error') != 'skip':
        return dict(fingerprint=found, listing=found)
    every = DATASETS.build(dict(spec, on_error='raise'))
    return dict(fingerprint=found, listing=every.fingerprint())
