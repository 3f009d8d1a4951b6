"""Settings of data loaders that torch would refuse late, or not at all."""

import os

from openmagvit2.config.keys import DATALOADER, unknown
from openmagvit2.config.values import check_whole
from openmagvit2.errors import UserError

# Processes that read images, also on a machine of few processors.
MOST_WORKERS = 256


def check_dataloader(path: str, value: dict) -> None:
    """Check the keys and the numbers of ``train_dataloader`` and its like.

    Raises:
        UserError: A key is unknown, or a number is none that torch takes.
    """
    if path == 'train_dataloader' and 'batch_size' in value:
        raise UserError(
            'train_dataloader.batch_size is not a key here: set global_batch_size, which is '
            'divided by processes and accumulation.'
        )
    for key in value:
        if key not in DATALOADER:
            raise UserError(unknown(f'{path}.{key}', DATALOADER))
    check_whole(f'{path}.batch_size', value.get('batch_size', 1) or 0, 1)
    if path != 'train_dataloader' and value.get('dataset', 0) is None:
        raise UserError(f'{path}.dataset is None; set {path}=None for no images.')
    _check_workers(path, value)


def _check_workers(path: str, value: dict) -> None:
    workers = value.get('num_workers', 0)
    if isinstance(workers, bool) or not isinstance(workers, int) or workers < 0:
        raise UserError(f'{path}.num_workers must be a whole number from 0, got {workers!r}.')
    most = max(MOST_WORKERS, 4 * (os.cpu_count() or 1))
    if workers > most:
        raise UserError(
            f'{path}.num_workers={workers} is more than this machine can run; take {most} at most.'
        )
    for key in ('persistent_workers', 'prefetch_factor', 'timeout'):
        if value.get(key) and not workers:
            raise UserError(
                f'{path}.{key}={value[key]} needs worker processes, and {path}.num_workers is 0: '
                f'raise that, or set {path}.{key} to {None if key == "prefetch_factor" else 0}.'
            )
