"""Data sets against the model, before the first sample: a mismatch must not train silently."""

import logging
from collections.abc import Mapping

from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from torch import nn
from torch.utils.data import DataLoader

from openmagvit2.errors import UserError


def check_datasets(loaders: Mapping[str, DataLoader], model: nn.Module) -> None:
    """Ask each data set that has a ``check_model`` whether it fits the model.

    What it returns is a doubt about a training on it, a sentence or None: one warning in the log.

    Args:
        loaders: By the key of the config that messages name; ``train_dataloader`` trains.
        model: The model, or its data-parallel wrapper.

    Raises:
        UserError: Tokens of another tokenizer, or labels that the model does not have.
    """
    model = model.module if is_model_wrapper(model) else model
    for key, loader in loaders.items():
        if not hasattr(loader.dataset, 'check_model'):
            continue
        try:
            doubt = loader.dataset.check_model(model)
        except UserError as error:
            raise UserError(f'{key}: {error}') from error
        if doubt and key == 'train_dataloader':
            print_log(f'{key}: {doubt}', 'current', logging.WARNING)
