"""The model within its data-parallel wrapper."""

from mmengine.model import is_model_wrapper
from torch import nn


def unwrap(model: nn.Module) -> nn.Module:
    """Return a model without its data-parallel wrapper, if it has one."""
    return model.module if is_model_wrapper(model) else model
