"""Settings of data loaders that torch would refuse late, or not at all."""

from openmagvit2.config.values import check_value
from openmagvit2.errors import UserError

NEEDING_WORKERS = ('persistent_workers', 'prefetch_factor', 'timeout', 'multiprocessing_context')


def check_dataloader(path: str, value: dict) -> None:
    """Check ``train_dataloader`` and its like: each value, and those that go together.

    Raises:
        UserError: torch does not take one, or not beside another.
    """
    if path == 'train_dataloader' and 'batch_size' in value:
        raise UserError(
            'train_dataloader.batch_size is not a key here: set global_batch_size, which is '
            'divided by processes and accumulation.'
        )
    if path != 'train_dataloader' and value.get('dataset', 0) is None:
        raise UserError(f'{path}.dataset is None; set {path}=None for no images.')
    for key, item in value.items():
        check_value(f'{path}.{key}', item)
    for key in NEEDING_WORKERS:
        if value.get(key) and not value.get('num_workers'):
            raise UserError(
                f'{path}.{key}={value[key]} needs worker processes, and {path}.num_workers is 0: '
                f'raise that, or remove {path}.{key}.'
            )
