"""Data sets against the model, before the first sample: a mismatch must not train silently."""

from collections.abc import Mapping

from mmengine.model import is_model_wrapper
from torch import nn
from torch.utils.data import DataLoader

from openmagvit2.errors import UserError


def check_datasets(loaders: Mapping[str, DataLoader], model: nn.Module) -> None:
    """Ask each data set that has a ``check_model`` whether it fits the model.

    Args:
        loaders: By the key of the config that errors name, as ``train_dataloader``.
        model: The model, or its data-parallel wrapper.

    Raises:
        UserError: Tokens of another tokenizer, or labels that the model does not have.
    """
    model = model.module if is_model_wrapper(model) else model
    for key, loader in loaders.items():
        if not hasattr(loader.dataset, 'check_model'):
            continue
        try:
            loader.dataset.check_model(model)
        except UserError as error:
            raise UserError(f'{key}: {error}') from error
