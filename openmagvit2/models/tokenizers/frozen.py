"""A tokenizer inside another model, which never trains it."""

from typing import TYPE_CHECKING

import torch

from openmagvit2.registry import MODELS

if TYPE_CHECKING:
    from openmagvit2.models.tokenizers.visual_tokenizer import VisualTokenizer


def frozen_tokenizer(config: dict) -> tuple['VisualTokenizer', str | None]:
    """Return a tokenizer in eval mode without gradients, and the file of its weights, not yet read.

    Args:
        config: Config of a tokenizer; ``checkpoint`` in it names its weights, ``seed`` draws random
            ones without a checkpoint. What only trains it is left out.
    """
    config = dict(config)
    checkpoint, seed = config.pop('checkpoint', None), config.pop('seed', None) or 0
    config.pop('training', None)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return MODELS.build(config).requires_grad_(False).eval(), checkpoint
