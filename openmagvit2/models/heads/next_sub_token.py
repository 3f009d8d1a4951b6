"""Next sub-token prediction: a small transformer inside each token (paper Eq. 6)."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from openmagvit2.models.heads.base import Draw, Head
from openmagvit2.models.heads.embeddings import Rows
from openmagvit2.models.layers.init import init_normal
from openmagvit2.models.layers.kv_cache import LayerCache, new_cache
from openmagvit2.models.layers.rope import rope_table
from openmagvit2.models.layers.transformer_block import TransformerBlock
from openmagvit2.registry import HEADS
from openmagvit2.signatures import Count, Fraction


@HEADS.register_module()
class NextSubTokenHead(Head):
    """Predict sub-token j of a token from its context vector and its sub-tokens before j.

    Args:
        vocab_sizes: Sizes of the sub-vocabularies; set by the generator.
        dim, num_heads: Width and number of heads of the backbone.
        num_layers: Number of intra-token blocks.
        dropout: Dropout rate in the blocks.
        options: Other arguments of :class:`Head`.
    """

    rope: Tensor

    def __init__(
        self,
        *,
        vocab_sizes: Sequence[int],
        dim: Count = 1024,
        num_heads: Count = 16,
        num_layers: int = 2,
        dropout: Fraction = 0.1,
        **options: Any,
    ) -> None:
        super().__init__(vocab_sizes, dim, **options)
        self.blocks = nn.ModuleList(
            TransformerBlock(dim, num_heads, dropout) for _ in range(num_layers)
        )
        # The official model reuses the first rows of the image's RoPE table: the zero row for the
        # context, then the top row of the grid.
        table = rope_table((1, max(len(self.vocab_sizes) - 1, 1)), dim // num_heads)
        self.register_buffer('rope', table, persistent=False)
        self.blocks.apply(init_normal)

    def logits(
        self, context: Tensor, sub_indices: Tensor, rows: Rows | None = None
    ) -> list[Tensor]:
        """Map context (B, T, dim) to logits (B, T, V_i) of each sub-token, given previous ones."""
        before = [
            self.embeddings.digit(i, sub_indices[..., i], rows)
            for i in range(len(self.vocab_sizes) - 1)
        ]
        x = torch.stack([context, *before], 2).flatten(0, 1)
        for block in self.blocks:
            x = block(x, self.rope[: x.shape[1]])
        x = self.norm(x).unflatten(0, context.shape[:2])
        return [classifier(x[:, :, i]) for i, classifier in enumerate(self.classifiers)]

    def new_cache(self) -> list[LayerCache]:
        """Return a KV cache with one slot per sub-token in each block."""
        return new_cache(len(self.blocks), len(self.vocab_sizes))

    def sample(
        self,
        context: Tensor,
        draw: Draw,
        cache: list[LayerCache] | None = None,
        rows: Rows | None = None,
    ) -> Tensor:
        """Sample int64 (B, T, k) sub-token by sub-token; see :meth:`Head.sample`."""
        cache = cache or self.new_cache()
        for layer in cache:
            layer.cut(0)
        # Each position becomes a sequence.
        shape, x = context.shape[:2], context.flatten(0, 1)[:, None]
        drawn: list[Tensor] = []
        for i, classifier in enumerate(self.classifiers):
            if i:
                vectors = self.embeddings.digit(i - 1, drawn[-1], rows)
                # With guidance, both halves continue with the same sub-token.
                x = vectors.repeat(shape[0] // len(vectors), 1, 1).flatten(0, 1)[:, None]
            for block, own in zip(self.blocks, cache, strict=True):
                x = block(x, self.rope[i : i + 1], own)
            drawn.append(draw(classifier(self.norm(x[:, 0])).unflatten(0, shape), i))
        return torch.stack(drawn, -1)
