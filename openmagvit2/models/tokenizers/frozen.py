"""A frozen tokenizer inside another model."""

from typing import TYPE_CHECKING

import torch

from openmagvit2.registry import MODELS

if TYPE_CHECKING:
    from openmagvit2.models.tokenizers.visual_tokenizer import VisualTokenizer


def frozen_tokenizer(config: dict) -> tuple['VisualTokenizer', str | None]:
    """Build a tokenizer in eval mode without gradients; return it and its checkpoint's name.

    The checkpoint is not loaded yet.

    Args:
        config: Config of a tokenizer. Its ``checkpoint`` key names the weights; without one,
            weights are random, drawn from ``seed``. The ``training`` part is dropped.
    """
    config = dict(config)
    checkpoint, seed = config.pop('checkpoint', None), config.pop('seed', None) or 0
    config.pop('training', None)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return MODELS.build(config).requires_grad_(False).eval(), checkpoint
