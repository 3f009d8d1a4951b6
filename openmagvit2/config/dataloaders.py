"""Settings of data loaders that torch would refuse late, or not at all."""

from typing import Any

from openmagvit2.config.annotations import check_kind
from openmagvit2.config.values import START_METHODS, check_whole, check_workers
from openmagvit2.errors import UserError, check_choice
from openmagvit2.signatures import Count, Weight

KINDS: dict[str, Any] = dict(
    **dict.fromkeys(('pin_memory', 'persistent_workers', 'in_order'), bool | None),
    drop_last=bool,
    **dict.fromkeys(('prefetch_factor', 'num_batch_per_epoch'), Count | None),
    timeout=Weight,
    worker_init_fn=dict,
)
NEEDING_WORKERS = ('persistent_workers', 'prefetch_factor', 'timeout', 'multiprocessing_context')


def check_dataloader(path: str, value: dict) -> None:
    """Check the values of ``train_dataloader`` and its like.

    Raises:
        UserError: torch does not take one, or not together with another.
    """
    if path == 'train_dataloader' and 'batch_size' in value:
        raise UserError(
            'train_dataloader.batch_size is not a key here: set global_batch_size, which is '
            'divided by processes and accumulation.'
        )
    check_whole(f'{path}.batch_size', value.get('batch_size', 1) or 0, 1)
    if path != 'train_dataloader' and value.get('dataset', 0) is None:
        raise UserError(f'{path}.dataset is None; set {path}=None for no images.')
    for key in value.keys() & KINDS.keys():
        check_kind(f'{path}.{key}', value[key], KINDS[key])
    context = value.get('multiprocessing_context')
    check_choice(f'{path}.multiprocessing_context', context, START_METHODS)
    workers = value.get('num_workers', 0)
    check_workers(f'{path}.num_workers', workers)
    for key in NEEDING_WORKERS:
        if value.get(key) and not workers:
            raise UserError(
                f'{path}.{key}={value[key]} needs worker processes, and {path}.num_workers is 0: '
                f'raise that, or remove {path}.{key}.'
            )
