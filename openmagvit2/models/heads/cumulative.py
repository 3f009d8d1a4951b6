"""RQ-Transformer's depth transformer: predict each code of a token from the sums of the previous
ones (docs/reference/specification.md, Residual quantization).
"""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from openmagvit2.errors import UserError
from openmagvit2.models.heads.base import Draw, Head
from openmagvit2.models.heads.embeddings import Rows, rows_of_digit
from openmagvit2.models.layers.gpt_block import GptBlock
from openmagvit2.models.layers.init import init_normal
from openmagvit2.models.layers.kv_cache import LayerCache, new_cache
from openmagvit2.registry import HEADS
from openmagvit2.signatures import Count, Fraction, Weight


@HEADS.register_module()
class CumulativeCodeHead(Head):
    """Predict code d of a token from its context vector and the partial sums of the vectors of
    codes 0 … j, for all j < d. All depths share one classifier.

    Made for residual quantizers, whose codes add up: a partial sum is a coarser version of the
    token.

    Args:
        vocab_sizes: Sizes of the codebooks, all equal; set by the generator.
        dim, num_heads: Width and number of heads of the backbone.
        row_dim: Width of the quantizer's vectors; set by the generator.
        num_layers: Number of blocks of the depth transformer.
        dropout: Dropout rate in the blocks.
        initial_deviation: See :class:`Gpt`.

    Raises:
        UserError: The codebooks differ in size.
    """

    shared_classifier = True

    def __init__(
        self,
        *,
        vocab_sizes: Sequence[int],
        dim: Count = 1536,
        num_heads: Count = 24,
        row_dim: Count,
        num_layers: int = 4,
        dropout: Fraction = 0.1,
        initial_deviation: Weight | None = 0.02,
    ) -> None:
        if len(set(vocab_sizes)) > 1:
            raise UserError(
                f'model.head: CumulativeCodeHead shares one classifier among all codes of a '
                f'token, so codebook sizes must be equal, got {list(vocab_sizes)}; use '
                f'NextSubTokenHead.'
            )
        super().__init__(
            vocab_sizes,
            dim,
            embedding='CodeEmbedding',
            row_dim=row_dim,
            norm='layer_norm',
            bias=True,
            zero_init=False,
        )
        self.project = nn.Linear(row_dim, dim)
        self.depth_embedding = nn.Parameter(torch.empty(len(self.vocab_sizes), dim))
        self.blocks = nn.ModuleList(GptBlock(dim, num_heads, dropout) for _ in range(num_layers))
        if initial_deviation is not None:
            self.blocks.apply(partial(init_normal, deviation=initial_deviation))
        nn.init.normal_(self.depth_embedding, 0.0, 0.02)

    def logits(
        self, context: Tensor, sub_indices: Tensor, rows: Rows | None = None
    ) -> list[Tensor]:
        """Map context (B, T, dim) to logits (B, T, V) of each depth, given the depths before."""
        assert rows is not None
        sums = rows(sub_indices)[..., :-1, :].cumsum(-2)
        x = torch.cat([context[:, :, None], self._projected(sums)], 2) + self.depth_embedding
        x = x.flatten(0, 1)
        for block in self.blocks:
            x = block(x)
        logits = self.classifiers[0](self.norm(x)).unflatten(0, context.shape[:2])
        return list(logits.unbind(2))

    def new_cache(self) -> list[LayerCache]:
        """Return a KV cache with one slot per depth in each block."""
        return new_cache(len(self.blocks), len(self.vocab_sizes))

    def sample(
        self,
        context: Tensor,
        draw: Draw,
        cache: list[LayerCache] | None = None,
        rows: Rows | None = None,
    ) -> Tensor:
        """Sample int64 (B, T, k) depth by depth; see :meth:`Head.sample`."""
        assert rows is not None
        cache = cache or self.new_cache()
        for layer in cache:
            layer.cut(0)
        # Each position becomes a sequence.
        shape, x, total = context.shape[:2], context, None
        drawn: list[Tensor] = []
        for depth, size in enumerate(self.vocab_sizes):
            if depth:
                vectors = rows_of_digit(rows, depth - 1, drawn[-1], len(self.vocab_sizes))
                total = vectors if total is None else total + vectors
                # With guidance, both halves continue with the same code.
                x = self._projected(total).repeat(shape[0] // len(total), 1, 1)
            x = x.flatten(0, 1)[:, None] + self.depth_embedding[depth]
            for block, own in zip(self.blocks, cache, strict=True):
                x = block(x, own)
            logits = self.classifiers[0](self.norm(x[:, 0]))
            drawn.append(draw(logits.view(*shape, size), depth))
        return torch.stack(drawn, -1)

    def _projected(self, vectors: Tensor) -> Tensor:
        return self.project(vectors.to(self.project.weight.dtype))
