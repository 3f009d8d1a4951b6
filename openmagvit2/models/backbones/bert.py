"""BERT's encoder, in which every row sees every other: the transformer of MaskGIT and of TiTok's
smaller generators (docs/reference/specification.md, MaskGIT and TiTok).
"""

import math
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from openmagvit2.errors import UserError
from openmagvit2.models.backbones.base import Backbone
from openmagvit2.models.layers.attention import check_heads
from openmagvit2.models.layers.gpt_block import init_gpt
from openmagvit2.models.layers.kv_cache import LayerCache
from openmagvit2.models.layers.masks import group_mask
from openmagvit2.models.layers.transformer_block import init_truncated
from openmagvit2.registry import BACKBONES
from openmagvit2.signatures import Count, Fraction

# LayerNorm of BERT.
EPS = 1e-12


class BertAttention(nn.Module):
    """Self-attention with biases; queries, keys and values in one layer."""

    def __init__(self, dim: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        check_heads(dim, num_heads)
        self.num_heads, self.dropout = num_heads, dropout
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Map (B, S, dim) and a mask (S, S), True where a row may look, to (B, S, dim)."""
        q, k, v = (
            part.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for part in self.qkv(x).chunk(3, -1)
        )
        dropout = self.dropout if self.training else 0.0
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout)
        return self.out(out.transpose(1, 2).flatten(-2))


class BertBlock(nn.Module):
    """``norm(x + attention(x))``, then ``norm(x + feed_forward(x))``."""

    def __init__(
        self, dim: int, num_heads: int, hidden: int, dropout: float, approximate: str
    ) -> None:
        super().__init__()
        self.attention = BertAttention(dim, num_heads, dropout)
        self.attention_norm = nn.LayerNorm(dim, eps=EPS)
        self.fc1, self.fc2 = nn.Linear(dim, hidden), nn.Linear(hidden, dim)
        self.ffn_norm = nn.LayerNorm(dim, eps=EPS)
        self.dropout = nn.Dropout(dropout)
        self.approximate = approximate

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """See :meth:`BertAttention.forward`."""
        x = self.attention_norm(x + self.dropout(self.attention(x, mask)))
        hidden = F.gelu(self.fc1(x), approximate=self.approximate)
        return self.ffn_norm(x + self.dropout(self.fc2(hidden)))


@BACKBONES.register_module()
class Bert(Backbone):
    """Prefix and token embeddings to context vectors, with learned positions and post-norms.

    Args:
        grid: Sides of the token grid; the generator hands over that of its tokenizer.
        dim, num_layers, num_heads: 768, 24, 16 is MaskGIT's.
        hidden: Width between the two layers of a feed-forward; 4 * dim by default.
        dropout: On the input, on attention weights, after attention and feed-forward.
        approximate: Form of the GELU, as torch names it: 'tanh', or 'none' for the exact one.
        token_types: Rows of a table of which the first is added to every row and nothing reads the
            others; 0 for none, 2 in Hugging Face's BERT.
        truncated: Whether initial weights are cut at two deviations, as in MaskGIT.

    Raises:
        UserError: ``approximate`` is not known, or ``num_heads`` does not divide ``dim``.
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
        if approximate not in ('tanh', 'none'):
            raise UserError(f"model.backbone.approximate is 'tanh' or 'none', got {approximate!r}.")
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
        if truncated:
            self.apply(init_truncated)
        else:
            init_gpt(self, 0.02)

    def forward(
        self,
        x: Tensor,
        *,
        positions: Tensor | None = None,
        targets: Tensor | None = None,
        condition: Tensor | None = None,
        groups: Sequence[int] | None = None,
        cache: list[LayerCache] | None = None,
    ) -> Tensor:
        """See :meth:`Backbone.forward`; without ``groups`` all rows are one set."""
        self.reject(positions=positions, targets=targets, condition=condition, cache=cache)
        size = x.shape[1]
        mask = None
        if groups is not None and len(groups) > 1:
            mask = group_mask(groups, size, size, x.device)
        x = x + self.position_embedding.weight[:size]
        if self.type_embedding is not None:
            x = x + self.type_embedding.weight[0]
        x = self.dropout(self.norm(x))
        for block in self.blocks:
            x = block(x, mask)
        return x
