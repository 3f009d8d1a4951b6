"""BERT's bidirectional encoder: the transformer of MaskGIT and of TiTok's smaller generators
(docs/reference/specification.md, MaskGIT and TiTok).
"""

import math
from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from openmagvit2.errors import check_choice
from openmagvit2.models.backbones.base import Backbone
from openmagvit2.models.layers.init import init_normal, init_truncated
from openmagvit2.models.layers.masks import group_mask, group_numbers
from openmagvit2.models.layers.vit_block import SelfAttention
from openmagvit2.registry import BACKBONES
from openmagvit2.signatures import Count, Fraction

# Epsilon of BERT's LayerNorm.
EPS = 1e-12


class BertBlock(nn.Module):
    """``norm(x + attention(x))``, then ``norm(x + feed_forward(x))``."""

    def __init__(
        self, dim: int, num_heads: int, hidden: int, dropout: float, approximate: str
    ) -> None:
        super().__init__()
        self.attention = SelfAttention(dim, num_heads, qkv_bias=True, dropout=dropout)
        self.attention_norm = nn.LayerNorm(dim, eps=EPS)
        self.fc1, self.fc2 = nn.Linear(dim, hidden), nn.Linear(hidden, dim)
        self.ffn_norm = nn.LayerNorm(dim, eps=EPS)
        self.dropout = nn.Dropout(dropout)
        self.approximate = approximate

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """See :meth:`SelfAttention.forward`."""
        x = self.attention_norm(x + self.dropout(self.attention(x, mask)))
        hidden = F.gelu(self.fc1(x), approximate=self.approximate)
        return self.ffn_norm(x + self.dropout(self.fc2(hidden)))


@BACKBONES.register_module()
class Bert(Backbone):
    """Post-norm transformer with learned positions; maps prefix and token embeddings to context
    vectors.

    Args:
        grid: Sides of the token grid; set by the generator.
        dim, num_layers, num_heads: 768, 24, 16 is MaskGIT's.
        hidden: Hidden width of the feed-forward; 4 * dim by default.
        dropout: Dropout rate on the input, on attention weights, after attention and feed-forward.
        approximate: Approximation of the GELU, as in torch: 'tanh', or 'none' for the exact GELU.
        token_types: Rows of the token type table; the first is added to every input row, and the
            others are unused. 0 for no table, 2 in Hugging Face's BERT.
        truncated: Whether initial weights are truncated at two deviations, as in MaskGIT.

    Raises:
        UserError: ``num_heads`` does not divide ``dim``.
    """

    supports = frozenset({'groups'})
    causal = False

    def __init__(
        self,
        *,
        grid: Sequence[int] = (16, 16),
        dim: Count = 768,
        num_layers: Count = 24,
        num_heads: Count = 16,
        hidden: Count | None = None,
        dropout: Fraction = 0.1,
        approximate: str = 'tanh',
        token_types: int = 0,
        truncated: bool = True,
    ) -> None:
        super().__init__()
        check_choice('model.backbone.approximate', approximate, ('tanh', 'none'))
        self.dim, self.num_heads = dim, num_heads
        # One row for the prefix.
        self.position_embedding = nn.Embedding(1 + math.prod(grid), dim)
        self.type_embedding = nn.Embedding(token_types, dim) if token_types else None
        self.norm = nn.LayerNorm(dim, eps=EPS)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(
            BertBlock(dim, num_heads, hidden or 4 * dim, dropout, approximate)
            for _ in range(num_layers)
        )
        self.apply(init_truncated if truncated else init_normal)

    def forward(self, x: Tensor, *, groups: Sequence[int] | None = None, **others: Any) -> Tensor:
        """See :meth:`Backbone.forward`; without ``groups``, all rows are one group."""
        self.reject(**others)
        size = x.shape[1]
        mask = None
        if groups is not None and len(groups) > 1:
            mask = group_mask(group_numbers(groups, x.device), size, size)
        x = x + self.position_embedding.weight[:size]
        if self.type_embedding is not None:
            x = x + self.type_embedding.weight[0]
        x = self.dropout(self.norm(x))
        for block in self.blocks:
            x = block(x, mask)
        return x
