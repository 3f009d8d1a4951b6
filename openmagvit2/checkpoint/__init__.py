"""Safe reading and writing of checkpoints, and the conversion of official ones."""

from openmagvit2.checkpoint.convert import is_ours, to_official, to_ours
from openmagvit2.checkpoint.loading import (
    TRAINING_ONLY,
    check_weights,
    choose_weights,
    load_model_weights,
    load_start,
    load_tokenizer_weights,
    load_weights,
    load_whole,
)
from openmagvit2.checkpoint.reading import dataset_meta, read_checkpoint, read_checkpoints
from openmagvit2.checkpoint.writing import save_atomically, write_checkpoint

__all__ = [
    'TRAINING_ONLY',
    'check_weights',
    'choose_weights',
    'dataset_meta',
    'is_ours',
    'load_model_weights',
    'load_start',
    'load_tokenizer_weights',
    'load_weights',
    'load_whole',
    'read_checkpoint',
    'read_checkpoints',
    'save_atomically',
    'to_official',
    'to_ours',
    'write_checkpoint',
]
