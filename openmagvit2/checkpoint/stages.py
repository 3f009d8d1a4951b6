"""Which kind of model weights belong to."""

from torch import nn


def is_generator(model: nn.Module) -> bool:
    """Whether a model has a tokenizer inside."""
    return 'tokenizer' in dict(model.named_children())
