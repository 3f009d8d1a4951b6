"""The kind of model: tokenizer or generator."""

from torch import nn


def is_generator(model: nn.Module) -> bool:
    """Return whether a model contains a tokenizer."""
    return 'tokenizer' in dict(model.named_children())
