"""The model behind the wrappers of data parallelism."""

from mmengine.model import is_model_wrapper
from torch import nn


def unwrap(model: nn.Module) -> nn.Module:
    """Return the model of the config, without a data-parallel wrapper around it."""
    return model.module if is_model_wrapper(model) else model
