"""Whether a model is a tokenizer or a generator."""

from torch import nn


def is_generator(model: nn.Module) -> bool:
    """Return whether a model is a generator, which contains a tokenizer."""
    return 'tokenizer' in dict(model.named_children())


def tokenizer_of(model: nn.Module) -> nn.Module:
    """Return the tokenizer of a generator, or the model itself if it is a tokenizer."""
    return model.get_submodule('tokenizer') if is_generator(model) else model
