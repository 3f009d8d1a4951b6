"""RAR's transformer: causal over tokens in any order, with embeddings of target positions (Yu et
al. 2024, docs/reference/specification.md, RAR).
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
# Rows before the tokens: the start vector and the condition.
PREFIX = 2


class RarAttention(nn.Module):
    """Causal attention with biases and QK norm in each head."""

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
    """AdaLN block whose modulation depends on a condition for each row."""

    def __init__(self, dim: int, num_heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.norm1, self.norm2 = (nn.LayerNorm(dim, eps=EPS) for _ in range(2))
        self.attention = RarAttention(dim, num_heads, dropout)
        self.fc1, self.fc2 = nn.Linear(dim, hidden), nn.Linear(hidden, dim)
        self.modulation = nn.Linear(dim, 6 * dim)
        self.dropout = dropout

    def forward(self, x: Tensor, condition: Tensor, cache: LayerCache | None) -> Tensor:
        """Map rows (B, S, dim) with conditions (B, S, dim) to rows (B, S, dim)."""
        b1, s1, g1, b2, s2, g2 = self.modulation(F.silu(condition)).chunk(6, -1)
        x = x + g1 * self.attention(self.norm1(x) * (1 + s1) + b1, cache)
        hidden = F.gelu(self.fc1(self.norm2(x) * (1 + s2) + b2))
        hidden = self.fc2(F.dropout(hidden, self.dropout, self.training))
        return x + g2 * F.dropout(hidden, self.dropout, self.training)


@BACKBONES.register_module()
class Rar(Backbone):
    """Map prefix and token embeddings to context vectors, for sequences in any order.

    A row gets two learned position embeddings, of its own cell and of the cell that it predicts.
    The condition of a row is the pooled vector plus a learned embedding of the row's number. A
    start vector precedes the prefix of one row; its output is dropped.

    Args:
        grid: Sides of the token grid; set by the generator.
        dim, num_layers, num_heads: 768, 24, 16 is RAR-B.
        hidden: Hidden width of the feed-forward; 4 * dim by default.
        dropout: Dropout rate on attention weights, after attention and inside feed-forwards.
        spare_rows: Unused rows of the position tables after those of prefix and tokens (1022 in the
            official models).
        spare_steps: Unused rows of the table of row numbers (98 in the official models).
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
        # At initialization, the condition has no effect and each block is the identity.
        for name, parameter in self.named_parameters():
            if name.endswith('modulation.weight'):
                nn.init.zeros_(parameter)

    def new_cache(self, rows: int | None = None) -> list[LayerCache]:
        """See :meth:`Backbone.new_cache`: one cache per block, with a row for the start vector."""
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
        """Return embeddings of the rows' cells plus their targets, (S, dim) or (B, S, dim)."""
        rows = torch.arange(first, first + size, device=device)
        # Cells are numbered from the first token; -1 is the row of the condition.
        own = rows - 1 if positions is None else cell_numbers(positions, self.grid)
        end = self.rows - PREFIX
        following = rows if targets is None else cell_numbers(targets, self.grid)
        target = self.target_embedding(following.clamp(max=end - 1) + PREFIX)
        # The row of the last token predicts nothing.
        target = target * (following < end)[..., None]
        return self.position_embedding(own + PREFIX) + target
