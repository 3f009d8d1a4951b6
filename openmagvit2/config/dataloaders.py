"""The check of data loader settings that torch would reject late or ignore."""

from openmagvit2.errors import UserError

NEEDING_WORKERS = ('persistent_workers', 'prefetch_factor', 'timeout', 'multiprocessing_context')


def check_dataloader(path: str, value: dict) -> None:
    """Check the settings of a data loader, whose values have been checked one by one.

    Raises:
        UserError: A setting is not used, or needs another one.
    """
    if path == 'train_dataloader' and 'batch_size' in value:
        raise UserError(
            'train_dataloader.batch_size is not used: set global_batch_size, which is divided by '
            'processes and accumulation.'
        )
    if path != 'train_dataloader' and value.get('dataset', 0) is None:
        raise UserError(f'{path}.dataset is None; set {path}=None for no images.')
    for key in NEEDING_WORKERS:
        if value.get(key) and not value.get('num_workers'):
            raise UserError(
                f'{path}.{key}={value[key]} needs worker processes, and {path}.num_workers is 0: '
                f'increase it, or remove {path}.{key}.'
            )
