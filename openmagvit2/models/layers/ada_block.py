"""Llama's block whose norms a condition scales and shifts
(docs/reference/specification.md, Index backpropagation).
"""

import torch.nn.functional as F
from torch import Tensor, nn

from openmagvit2.models.layers.kv_cache import LayerCache
from openmagvit2.models.layers.transformer_block import TransformerBlock


class AdaTransformerBlock(TransformerBlock):
    """``x + g1 * attention(norm(x) * (1 + s1) + b1)``, and likewise the feed-forward, with gates,
    scales and shifts of the condition: ``(g1, g2, s1, s2, b1, b2) = modulation(silu(condition))``.
    """

    def __init__(self, dim: int, num_heads: int, dropout: float = 0.1) -> None:
        super().__init__(dim, num_heads, dropout)
        self.modulation = nn.Linear(dim, 6 * dim)

    def forward(
        self,
        x: Tensor,
        rope: Tensor,
        cache: LayerCache | None = None,
        mask: Tensor | None = None,
        condition: Tensor | None = None,
    ) -> Tensor:
        """See :meth:`TransformerBlock.forward`.

        Args:
            x, rope, cache, mask: As there.
            condition: (B, dim), the same for all rows; zero by default.
        """
        if condition is None:
            condition = x.new_zeros(len(x), x.shape[-1])
        g1, g2, s1, s2, b1, b2 = self.modulation(F.silu(condition))[:, None].chunk(6, -1)
        hidden = self.attention_norm(x) * (1 + s1) + b1
        x = x + self.kept(g1 * self.attention(hidden, rope, cache, mask))
        return x + self.kept(g2 * self.feed_forward(self.ffn_norm(x) * (1 + s2) + b2))
