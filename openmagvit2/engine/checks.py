"""Checks of data sets and schedulers against model and loop, before the first image is read."""

import inspect
import logging
from collections.abc import Mapping
from typing import Any

from mmengine.logging import print_log
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from openmagvit2.engine.unwrap import unwrap
from openmagvit2.errors import UserError, about
from openmagvit2.protocols import ChecksModel, Seeking
from openmagvit2.registry import PARAM_SCHEDULERS
from openmagvit2.sizes import memory

# Number of samples that fits any machine.
ALWAYS_FITS = 2**16


def check_schedulers(schedulers: Any) -> None:
    """Raise UserError if a scheduler of a config would never step, because it counts epochs,
    mmengine's default, and the training loop counts iterations.

    Args:
        schedulers: ``param_scheduler``: a config, a list, a dict by role, or None.
    """
    if isinstance(schedulers, Mapping) and 'type' in schedulers:
        kind = PARAM_SCHEDULERS.find(schedulers['type'])
        known = inspect.signature(kind).parameters if kind is not None else {}
        # mmengine's own schedulers hide it behind **kwargs.
        default = known['by_epoch'].default if 'by_epoch' in known else True
        by_epoch = schedulers.get('by_epoch', default)
        converted = schedulers.get('convert_to_iter_based')
        if by_epoch and not converted:
            raise UserError(
                f'param_scheduler: {schedulers["type"]} counts epochs and would never step, '
                f'because the training counts iterations; add by_epoch=False, or '
                f'convert_to_iter_based=True.'
            )
        if converted and not by_epoch:
            raise UserError(
                'param_scheduler: convert_to_iter_based goes with by_epoch=True; remove one of the '
                'two keys.'
            )
    elif isinstance(schedulers, Mapping):
        check_schedulers(list(schedulers.values()))
    else:
        for scheduler in schedulers or ():
            check_schedulers(scheduler)


def check_datasets(loaders: Mapping[str, DataLoader], model: nn.Module) -> None:
    """Call ``check_model`` of each data set that has it; log its warning about the training data.

    Args:
        loaders: Data loaders by config key, such as ``train_dataloader``.
        model: The model, or its data-parallel wrapper.

    Raises:
        UserError: Tokens are from another tokenizer, or the model does not have the labels.
    """
    model = unwrap(model)
    for key, loader in loaders.items():
        if not isinstance(loader.dataset, ChecksModel):
            continue
        with about(key):
            warning = loader.dataset.check_model(model)
        if warning and key == 'train_dataloader':
            print_log(f'{key}: {warning}', 'current', logging.WARNING)


def check_source(source: object) -> None:
    """Raise UserError if a sampler or a stream cannot resume at a given sample."""
    if not isinstance(source, Seeking):
        raise UserError(
            f'train_dataloader.sampler: {type(source).__name__} cannot resume at a sample; set '
            f"dict(type='ResumableInfiniteSampler')."
        )


def check_batches(loader: DataLoader) -> None:
    """Raise UserError if the batches that are loaded at a time do not fit the memory.

    Small batches are not measured, because that would read an image.
    """
    samples = (loader.batch_size or 1) * max(1, loader.num_workers * (loader.prefetch_factor or 1))
    most = memory()
    if most is None or samples <= ALWAYS_FITS or isinstance(loader.dataset, IterableDataset):
        return
    one = loader.collate_fn([loader.dataset[0]])
    size = samples * sum(x.nbytes for x in one.values() if isinstance(x, Tensor))
    if size > most:
        raise UserError(
            f'{samples} samples at once, from global_batch_size, num_workers and prefetch_factor, '
            f'have {size / 1e9:.0f} GB; this machine has {most / 1e9:.0f} GB: reduce one of them.'
        )
