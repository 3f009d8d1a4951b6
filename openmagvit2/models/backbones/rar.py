"""RAR's transformer: causal over tokens in any order, with the next cell as an input (Yu et al.
2024, docs/reference/specification.md, RAR).
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from openmagvit2.models.backbones.base import Backbone
from openmagvit2.models.layers.arguments import check_heads
from openmagvit2.models.layers.init import init_truncated
from openmagvit2.models.layers.kv_cache import LayerCache, new_cache
from openmagvit2.models.layers.masks import causal_mask
from openmagvit2.models.layers.rope import cell_numbers
from openmagvit2.registry import BACKBONES
from openmagvit2.signatures import Count, Fraction

EPS = 1e-6
# Rows in front of the tokens: the start vector and the condition.
PREFIX = 2


class RarAttention(nn.Module):
    """Causal attention with biases; queries and keys are normalised in each head."""

    def __init__(self, dim: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        check_heads(dim, num_heads)
        self.num_heads, self.dropout = num_heads, dropout
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.q_norm, self.k_norm = (nn.LayerNorm(dim // num_heads, eps=EPS) for _ in range(2))

    def forward(self, x: Tensor, cache: LayerCache | None) -> Tensor:
        """Map (B, S, dim) to the same shape."""
        q, k, v = rearrange(self.qkv(x), 'b s (n h d) -> n b h s d', n=3, h=self.num_heads)
        q, k = self.q_norm(q).type_as(v), self.k_norm(k).type_as(v)
        if cache is not None:
            k, v = cache.append(k, v)
        new, total = q.shape[2], k.shape[2]
        mask = causal_mask(new, total, q.device) if 1 < new < total else None
        dropout = self.dropout if self.training else 0.0
        out = F.scaled_dot_product_attention(
            q, k, v, attn_mask=mask, dropout_p=dropout, is_causal=new == total
        )
        out = self.proj(out.transpose(1, 2).flatten(-2))
        return F.dropout(out, self.dropout, self.training)


class RarBlock(nn.Module):
    """Attention and feed-forward between norms that a condition of each row shifts and scales."""

    def __init__(self, dim: int, num_heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.norm1, self.norm2 = (nn.LayerNorm(dim, eps=EPS) for _ in range(2))
        self.attention = RarAttention(dim, num_heads, dropout)
        self.fc1, self.fc2 = nn.Linear(dim, hidden), nn.Linear(hidden, dim)
        self.modulation = nn.Linear(dim, 6 * dim)
        self.dropout = dropout

    def forward(self, x: Tensor, condition: Tensor, cache: LayerCache | None) -> Tensor:
        """Map rows and conditions, both (B, S, dim), to rows."""
        b1, s1, g1, b2, s2, g2 = self.modulation(F.silu(condition)).chunk(6, -1)
        x = x + g1 * self.attention(self.norm1(x) * (1 + s1) + b1, cache)
        hidden = F.gelu(self.fc1(self.norm2(x) * (1 + s2) + b2))
        hidden = self.fc2(F.dropout(hidden, self.dropout, self.training))
        return x + g2 * F.dropout(hidden, self.dropout, self.training)


@BACKBONES.register_module()
class Rar(Backbone):
    """Prefix and token embeddings to context vectors, for sequences in any order.

    A row has a learned position, that of its own cell, and a second one, of the cell that it
    predicts. The condition of a row is the pooled vector plus a learned one that counts rows. A
    start vector stands before the prefix of one row; its output is left out.

    Args:
        grid: Sides of the token grid; set by the generator.
        dim, num_layers, num_heads: 768, 24, 16 is RAR-B.
        hidden: Width between the two layers of a feed-forward; 4 * dim by default.
        dropout: On attention weights, after attention and inside feed-forwards.
        spare_rows: Rows of the tables of positions beyond those of prefix and tokens, which nothing
            reads (officially 1022).
        spare_steps: Such rows of the table that counts rows (officially 98).
    """

    supports = frozenset({'positions', 'targets', 'condition'})

    def __init__(
        self,
        *,
        grid: Sequence[int] = (16, 16),
        dim: Count = 768,
        num_layers: Count = 24,
        num_heads: Count = 16,
        hidden: Count | None = None,
        dropout: Fraction = 0.1,
        spare_rows: int = 0,
        spare_steps: int = 0,
    ) -> None:
        super().__init__()
        self.dim, self.num_heads, self.grid = dim, num_heads, tuple(grid)
        self.rows = PREFIX + math.prod(grid)
        self.start = nn.Parameter(torch.zeros(dim))
        self.position_embedding = nn.Embedding(self.rows + spare_rows, dim)
        self.target_embedding = nn.Embedding(self.rows + spare_rows, dim)
        self.step_embedding = nn.Embedding(self.rows + spare_steps, dim)
        self.blocks = nn.ModuleList(
            RarBlock(dim, num_heads, hidden or 4 * dim, dropout) for _ in range(num_layers)
        )
        self.modulation = nn.Linear(dim, 2 * dim)
        self.apply(init_truncated)
        # The condition does nothing at first, and each block passes its input.
        for name, parameter in self.named_parameters():
            if name.endswith('modulation.weight'):
                nn.init.zeros_(parameter)

    def new_cache(self, rows: int | None = None) -> list[LayerCache]:
        """See :meth:`Backbone.new_cache`: one cache for each block, with room for the start."""
        return new_cache(len(self.blocks), 1 + rows if rows else self.rows)

    def forward(
        self,
        x: Tensor,
        *,
        positions: Tensor | None = None,
        targets: Tensor | None = None,
        condition: Tensor | None = None,
        cache: list[LayerCache] | None = None,
        **others: Any,
    ) -> Tensor:
        """See :meth:`Backbone.forward`; the condition is zero by default."""
        self.reject(**others)
        filled = cache[0].filled if cache else 0
        first = max(filled - 1, 0)
        x = x + self._places(x.shape[1], first, positions, targets, x.device)
        if filled == 0:
            start = (self.start + self.position_embedding.weight[0]).to(x.dtype)
            x = torch.cat([start.expand(len(x), 1, -1), x], 1)
        steps = self.step_embedding.weight[filled : filled + x.shape[1]]
        if condition is None:
            condition = steps.new_zeros(len(x), self.dim)
        each = condition[:, None] + steps
        caches: Sequence[LayerCache | None] = cache or [None] * len(self.blocks)
        for block, own in zip(self.blocks, caches, strict=True):
            x = block(x, each, own)
        scale, shift = self.modulation(F.silu(each)).chunk(2, -1)
        x = F.layer_norm(x, x.shape[-1:], eps=EPS) * (1 + scale) + shift
        return x[:, 1:] if filled == 0 else x

    def _places(
        self,
        size: int,
        first: int,
        positions: Tensor | None,
        targets: Tensor | None,
        device: torch.device,
    ) -> Tensor:
        """Sum vectors of the rows' cells and of those they predict: (S, dim) or (B, S, dim)."""
        rows = torch.arange(first, first + size, device=device)
        # Cells are numbered behind the prefix; -1 is the row of the condition.
        own = rows - 1 if positions is None else cell_numbers(positions, self.grid)
        end = self.rows - PREFIX
        following = rows if targets is None else cell_numbers(targets, self.grid)
        target = self.target_embedding(following.clamp(max=end - 1) + PREFIX)
        # The row of the last token predicts nothing.
        target = target * (following < end)[..., None]
        return self.position_embedding(own + PREFIX) + target
