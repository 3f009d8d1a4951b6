"""Version 1's name and arguments of the auto-regressive generator."""

from collections.abc import Sequence
from typing import Any

import torch

from openmagvit2.models.generators.autoregressive import AutoregressiveGenerator
from openmagvit2.registry import ENCODERS, MODELS


@MODELS.register_module()
class ClassConditionalGenerator(AutoregressiveGenerator):
    """:class:`AutoregressiveGenerator` with the arguments of version 1.

    Args:
        grid: Height and width of the token grid.
        num_classes, class_dropout: Of the class label.
        token_dropout: ``input_dropout``.
        options: Arguments of :class:`AutoregressiveGenerator`.
    """

    def __init__(
        self,
        *,
        tokenizer: dict,
        grid: Sequence[int] = (16, 16),
        num_classes: int = 1000,
        class_dropout: float = 0.1,
        token_dropout: float = 0.1,
        **options: Any,
    ) -> None:
        with torch.random.fork_rng(), torch.device('meta'):
            stride = ENCODERS.build(dict(tokenizer['encoder'], out_channels=1)).downscale
        conditioner = dict(type='ClassLabel', num_classes=num_classes, dropout=class_dropout)
        super().__init__(
            tokenizer=tokenizer,
            image_size=tuple(side * stride for side in grid),
            conditioner=conditioner,
            input_dropout=token_dropout,
            **options,
        )
