"""Checks of data sets and schedulers against the model and the loop, before the first sample."""

import inspect
import logging
from collections.abc import Mapping
from typing import Any

from mmengine.logging import print_log
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from openmagvit2.engine.unwrap import unwrap
from openmagvit2.errors import UserError
from openmagvit2.protocols import ChecksModel, Seeking
from openmagvit2.registry import PARAM_SCHEDULERS
from openmagvit2.sizes import memory

# Samples at once that any machine holds.
LOOKED_AT = 2**16


def check_schedulers(schedulers: Any) -> None:
    """Check that each scheduler of a config steps by iteration, as the training loop does.

    Args:
        schedulers: ``param_scheduler``: a config, a list, a dict of roles, or None.

    Raises:
        UserError: A scheduler counts epochs, as mmengine's do by default, and would never step.
    """
    if isinstance(schedulers, Mapping) and 'type' in schedulers:
        kind = PARAM_SCHEDULERS.find(schedulers['type'])
        known = inspect.signature(kind).parameters if kind is not None else {}
        # mmengine's own hide it behind **kwargs.
        default = known['by_epoch'].default if 'by_epoch' in known else True
        by_epoch, converted = (
            schedulers.get('by_epoch', default),
            schedulers.get('convert_to_iter_based'),
        )
        if by_epoch and not converted:
            raise UserError(
                f'param_scheduler: {schedulers["type"]} counts epochs and would never step, for '
                f'the training counts iterations; add by_epoch=False, or '
                f'convert_to_iter_based=True.'
            )
        if converted and not by_epoch:
            raise UserError(
                'param_scheduler: convert_to_iter_based goes with by_epoch=True; remove one of the '
                'two.'
            )
    elif isinstance(schedulers, Mapping):
        check_schedulers(list(schedulers.values()))
    else:
        for scheduler in schedulers or ():
            check_schedulers(scheduler)


def check_datasets(loaders: Mapping[str, DataLoader], model: nn.Module) -> None:
    """Ask each data set that has a ``check_model`` whether it fits the model.

    A sentence that it returns is logged as a warning if it concerns the training data.

    Args:
        loaders: Data loaders by config key, such as ``train_dataloader``.
        model: The model, or its data-parallel wrapper.

    Raises:
        UserError: Tokens are of another tokenizer, or labels are outside of the model's classes.
    """
    model = unwrap(model)
    for key, loader in loaders.items():
        if not isinstance(loader.dataset, ChecksModel):
            continue
        try:
            doubt = loader.dataset.check_model(model)
        except UserError as error:
            raise UserError(f'{key}: {error}') from error
        if doubt and key == 'train_dataloader':
            print_log(f'{key}: {doubt}', 'current', logging.WARNING)


def check_source(source: object) -> None:
    """Check that a sampler, or a stream, can go on where a training was stopped.

    Raises:
        UserError: It cannot.
    """
    if not isinstance(source, Seeking):
        raise UserError(
            f'train_dataloader.sampler: {type(source).__name__} cannot go on at a sample; set '
            f"dict(type='ResumableInfiniteSampler')."
        )


def check_batches(loader: DataLoader) -> None:
    """Check that the samples that a training holds at once fit the memory.

    Small numbers are not looked at: that would read an image.

    Raises:
        UserError: They have more bytes.
    """
    samples = (loader.batch_size or 1) * max(1, loader.num_workers * (loader.prefetch_factor or 1))
    most = memory()
    if most is None or samples <= LOOKED_AT or isinstance(loader.dataset, IterableDataset):
        return
    one = loader.collate_fn([loader.dataset[0]])
    size = samples * sum(x.nbytes for x in one.values() if isinstance(x, Tensor))
    if size > most:
        raise UserError(
            f'{samples} samples at once, of global_batch_size, workers and their prefetch_factor, '
            f'have {size / 1e9:.0f} GB; this machine has {most / 1e9:.0f}: take fewer.'
        )
