"""Tokens of a whole data set, once and for all trainings of generators."""

import json
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dist import barrier, broadcast_object_list, get_dist_info, is_main_process
from mmengine.logging import print_log
from torch.utils.data import DataLoader, Subset
from tqdm import tqdm

from openmagvit2.apis.init_model import init_model
from openmagvit2.checkpoint.hashing import weights_hash
from openmagvit2.datasets import ImageDataset
from openmagvit2.datasets.tokens import (
    FORMAT,
    HEADER,
    LABELS,
    TOKENS,
    check_sizes,
    fingerprint,
    open_tokens,
    read_header,
    token_bytes,
    token_dtype,
)
from openmagvit2.errors import UserError
from openmagvit2.folders import make_folder
from openmagvit2.io import reserve, write_atomically, write_text
from openmagvit2.registry import DATASETS

CORNERS = ('centre', 'top_left', 'top_right', 'bottom_left', 'bottom_right')


def views_of(pipeline: list[dict], crops: str, flip: bool) -> list[tuple[list[dict], int]]:
    """Pipelines and epochs whose images are the views of a picture.

    Args:
        pipeline: Of the config; its random crop is what ``crops`` replaces, a random flip is left
            out.
        crops: 'centre'; 'ten': corners and centre, each also mirrored; 'random:N': the crops that a
            training sees in its first N epochs.
        flip: Also mirror each view.

    Raises:
        UserError: Another word, or no crop in the pipeline to replace.
    """
    steps = [dict(step) for step in pipeline if step['type'] != 'RandomFlip']
    places = [i for i, step in enumerate(steps) if step['type'] in ('RandomCrop', 'CenterCrop')]
    kind, _, count = crops.partition(':')
    if kind == 'random' and count.isdigit() and int(count) > 0:
        views = [(steps, epoch) for epoch in range(int(count))]
    elif crops == 'centre':
        views = [(_placed(steps, places, 'centre'), 0)]
    elif crops == 'ten':
        if not places:
            raise UserError(
                '--crops ten: the pipeline of the data set has no RandomCrop or CenterCrop '
                'to replace.'
            )
        views, flip = [(_placed(steps, places, corner), 0) for corner in CORNERS], True
    else:
        raise UserError(f"--crops must be 'centre', 'ten', or 'random:N', got {crops!r}.")
    mirrored = (
        [([*steps, dict(type='RandomFlip', prob=1.0)], epoch) for steps, epoch in views]
        if flip
        else []
    )
    return views + mirrored


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
    """Write the token cache of a data set; a second start goes on where a killed one stopped, with
    the same bytes in the end.

    Args:
        config: Of a tokenizer; ``<split>_dataloader.dataset`` is what is read.
        checkpoint: Its weights; averaged ones where there are any.
        out: Receives ``tokens.bin``, ``labels.npy`` and ``header.json``.
        crops, flip: See :func:`views_of`.
        split: 'train' or 'val'.
        batch_size, num_workers, device: Of this process.
        block: Images between two marks of progress; processes take blocks in turn.

    Returns:
        The header.

    Raises:
        UserError: ``out`` holds tokens of other settings; the config is of no tokenizer; its data
            set has no images by number; the checkpoint's encoder gives NaN or infinite numbers.
    """
    out = Path(out)
    if batch_size < 1:
        raise UserError(f'--batch-size must be at least 1, got {batch_size}.')
    model = init_model(config, checkpoint, device)
    if not hasattr(model, 'encoder'):
        raise UserError(
            f'tokenize needs the config of a tokenizer, this one makes a {type(model).__name__}.'
        )
    # The seed that a training's random crops have.
    spec = dict(seed=config.get('seed', 0)) | config.to_dict()[f'{split}_dataloader']['dataset']
    dataset = DATASETS.build(spec)
    if not isinstance(dataset, ImageDataset):
        raise UserError(
            f'{split}_dataloader.dataset: tokens need images that can be read by number; '
            f'{spec["type"]} has none.'
        )
    views = views_of(spec.get('pipeline') or [], crops, flip)
    sets = [dataset.with_pipeline(steps) for steps, _ in views]
    shape = sets[0][0]['image'].shape
    header = _header(
        model,
        config,
        checkpoint,
        sets[0],
        views,
        dict(split=split, crops=crops, flip=flip, dataset=spec),
    )
    header |= dict(batch_size=batch_size, block=block)
    begun = [_begin(out, header) if is_main_process() else None]
    broadcast_object_list(begun)
    if isinstance(begun[0], UserError):
        raise begun[0]
    if begun[0] == 'finished':
        print_log(f'{out} is finished already, with these settings and images.', 'current')
        return header | dict(finished=True)
    rank, world = get_dist_info()
    blocks = range(-(-header['num_images'] // block))
    # Marks belong to blocks, not to processes: a second start may have another number of them.
    left = [
        number for number in blocks if number % world == rank and not _mark(out, number).exists()
    ]
    tokens, labels = open_tokens(out, header, 'r+'), np.load(out / LABELS, mmap_mode='r+')
    for number in tqdm(left, desc=f'blocks of {block} images', disable=not is_main_process()):
        rows = range(number * block, min((number + 1) * block, header['num_images']))
        for view, (dataset, (_, epoch)) in enumerate(zip(sets, views, strict=True)):
            loader = DataLoader(
                Subset(_Epoch(dataset, epoch, shape), rows), batch_size, num_workers=num_workers
            )
            _encode_rows(model, loader, rows[0], tokens[:, view], labels, str(checkpoint))
        # The mark must not be on the disk before what it stands for.
        tokens.flush()
        labels.flush()
        write_text(_mark(out, number), 'done\n')
    barrier()
    header |= dict(finished=True)
    if is_main_process():
        _finish(out, header, blocks)
    barrier()
    return header


def _finish(out: Path, header: dict, blocks: range) -> None:
    """The header says so first; then the marks are of no use."""
    for number in blocks:
        assert _mark(out, number).exists(), 'every process has done its blocks'
    write_text(out / HEADER, json.dumps(header, indent=2, default=str) + '\n')
    for number in blocks:
        _mark(out, number).unlink()


class _Epoch(torch.utils.data.Dataset):
    """A data set as it is in one epoch, every image of the same shape."""

    def __init__(self, dataset, epoch: int, shape: torch.Size) -> None:
        self.dataset, self.epoch, self.shape = dataset, epoch, shape

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> dict:
        sample = self.dataset[index, self.epoch]
        if sample['image'].shape != self.shape:
            (height, width), (first_height, first_width) = sample['image'].shape[1:], self.shape[1:]
            raise UserError(
                f'Image {index} of the data set is {height}x{width}, the first '
                f'{first_height}x{first_width}; '
                "tokens need one size: set the data set's pipeline to Resize and a crop."
            )
        return sample


@torch.no_grad()
def _encode_rows(
    model: torch.nn.Module,
    loader: DataLoader,
    start: int,
    tokens: np.ndarray,
    labels: np.ndarray,
    checkpoint: str,
) -> None:
    """Tokens and labels of a loader's images into the rows from ``start``.

    Raises:
        UserError: The encoder gives NaN or infinite numbers, whose tokens would look like any
            others.
    """
    for batch in loader:
        end = start + len(batch['label'])
        image = model.data_preprocessor(dict(image=batch['image']), False)['image']
        out = model.encode(image)
        out.check_finite(f'images {start} to {end - 1} with the weights of {checkpoint}')
        tokens[start:end] = out.indices.cpu().numpy()
        labels[start:end] = batch['label'].numpy()
        start = end


def _header(model, config: Config, checkpoint: str, dataset, views: list, recipe: dict) -> dict:
    sample = dataset[0]['image']
    grid = [side // model.encoder.downscale for side in sample.shape[1:]]
    size = model.quantizer.codebook_size
    return dict(
        format=FORMAT,
        num_images=len(dataset),
        fingerprint=fingerprint(dataset),
        num_views=len(views),
        grid=grid,
        dtype=str(token_dtype(size)),
        codebook_size=size,
        bit_order=getattr(model.quantizer, 'bit_order', None),
        classes=dataset.metainfo['classes'],
        recipe=json.loads(json.dumps(recipe, default=str)),
        tokenizer=dict(
            config=json.loads(json.dumps(config.model.to_dict(), default=str)),
            checkpoint=str(checkpoint),
        ),
        tokenizer_hash=weights_hash(model.encoder, model.quantizer),
        finished=False,
    )


def _begin(out: Path, header: dict) -> str | UserError:
    """Make or check the folder; 'begun', 'finished', or what is wrong, for all processes to
    raise.
    """
    if not (out / HEADER).is_file():
        try:
            make_folder(out)
            # A map of a file without room ends the process at some write.
            reserve(out / TOKENS, token_bytes(header))
            with write_atomically(out / LABELS) as file:
                np.save(file, np.zeros(header['num_images'], np.int64))
            # Last, since it says that the others are there.
            write_text(out / HEADER, json.dumps(header, indent=2, default=str) + '\n')
        except UserError as error:
            return error
        return 'begun'
    try:
        old = read_header(out)
        # The same tokenizer may lie elsewhere.
        known = {key: value for key, value in old.items() if key not in ('finished', 'tokenizer')}
        other = [key for key, value in known.items() if header.get(key) != value]
        if other == ['fingerprint']:
            raise UserError(
                f'{out} holds tokens of images that have changed since (names, sizes '
                f'or times); '
                f'give another --out, or remove it.'
            )
        # Other settings may choose other images.
        other = [key for key in other if key != 'fingerprint']
        if other:
            raise UserError(
                f'{out} holds tokens of other settings ({", ".join(other)}); give '
                f'another --out, '
                f'or remove it.'
            )
        check_sizes(out, old)
    except UserError as error:
        return error
    if old['finished']:
        # A kill may have come between the end and the clearing up.
        for mark in out.glob('.block-*'):
            mark.unlink()
    return 'finished' if old['finished'] else 'begun'


def _mark(out: Path, number: int) -> Path:
    return out / f'.block-{number:06d}'


def _placed(steps: list[dict], places: list[int], corner: str) -> list[dict]:
    """The pipeline with its crop at a corner or in the centre."""
    step = 'CenterCrop' if corner == 'centre' else 'CornerCrop'
    extra = {} if corner == 'centre' else dict(corner=corner)
    return [
        dict(type=step, size=old['size'], **extra) if i in places else old
        for i, old in enumerate(steps)
    ]
