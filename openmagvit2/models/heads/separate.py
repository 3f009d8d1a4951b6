"""Independent prediction of all sub-tokens from one context: the baseline that the paper improves
on.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from openmagvit2.models.heads.base import Draw, Head
from openmagvit2.models.heads.embeddings import Rows
from openmagvit2.models.layers.kv_cache import LayerCache
from openmagvit2.registry import HEADS
from openmagvit2.signatures import Count


@HEADS.register_module()
class SeparateHead(Head):
    """Predict each sub-token with its own classifier from the same context: given the previous
    tokens, sub-tokens are independent.

    Args:
        vocab_sizes: Sizes of the sub-vocabularies; set by the generator.
        dim: Width of the backbone.
        options: Other arguments of :class:`Head`.
    """

    def __init__(self, *, vocab_sizes: Sequence[int], dim: Count = 1024, **options: Any) -> None:
        super().__init__(vocab_sizes, dim, **options)

    def logits(
        self, context: Tensor, sub_indices: Tensor | None = None, rows: Rows | None = None
    ) -> list[Tensor]:
        """Map context (B, T, dim) to logits (B, T, V_i); ``sub_indices`` are ignored."""
        x = self.norm(context)
        return [classifier(x) for classifier in self.classifiers]

    def sample(
        self,
        context: Tensor,
        draw: Draw,
        cache: list[LayerCache] | None = None,
        rows: Rows | None = None,
    ) -> Tensor:
        """Sample int64 (B, T, k), each sub-token independently; see :meth:`Head.sample`."""
        return torch.stack([draw(x, i) for i, x in enumerate(self.logits(context))], -1)
