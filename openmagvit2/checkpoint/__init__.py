"""Safe loading of weights."""

from openmagvit2.checkpoint.loading import (
    choose_weights,
    load_model_weights,
    load_tokenizer_weights,
    load_weights,
    read_checkpoint,
    save_atomically,
)

__all__ = [
    'choose_weights',
    'load_model_weights',
    'load_tokenizer_weights',
    'load_weights',
    'read_checkpoint',
    'save_atomically',
]
