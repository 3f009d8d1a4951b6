"""The kind of model: tokenizer or generator."""

from torch import nn


def is_generator(model: nn.Module) -> bool:
    """Return whether a model contains a tokenizer."""
    return 'tokenizer' in dict(model.named_children())


def tokenizer_of(model: nn.Module) -> nn.Module:
    """Return a tokenizer: the model, or that of a generator."""
    return model.get_submodule('tokenizer') if is_generator(model) else model
