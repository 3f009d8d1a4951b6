"""Bidirectional attention, and the pre-norm block of ViT-VQGAN, BSQ-ViT and U-ViT."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from openmagvit2.errors import check_choice
from openmagvit2.models.layers.arguments import check_heads

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = dict(tanh=torch.tanh, gelu=F.gelu)


class SelfAttention(nn.Module):
    """Bidirectional self-attention with a joint layer for queries, keys and values.

    Args:
        dim, num_heads: Width and number of heads.
        head_dim: Width of a head; dim / num_heads by default.
        qkv_bias: Whether queries, keys and values have biases; the output always has one.
        dropout: Dropout rate of attention weights, in training.

    Raises:
        UserError: ``num_heads`` does not divide ``dim``, and ``head_dim`` is None.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        *,
        head_dim: int | None = None,
        qkv_bias: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if head_dim is None:
            check_heads(dim, num_heads)
        self.num_heads, self.dropout = num_heads, dropout
        inner = num_heads * (head_dim or dim // num_heads)
        self.qkv = nn.Linear(dim, 3 * inner, bias=qkv_bias)
        self.out = nn.Linear(inner, dim)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Map (B, S, dim) to the same shape; a mask (S, S) is True where a row may attend."""
        q, k, v = rearrange(self.qkv(x), 'b s (n h d) -> n b h s d', n=3, h=self.num_heads)
        dropout = self.dropout if self.training else 0.0
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout)
        return self.out(out.transpose(1, 2).flatten(-2))


class VitBlock(nn.Module):
    """``x + attention(norm1(x))``, then ``x + fc2(activation(fc1(norm2(x))))``.

    Args:
        dim, num_heads: Width and number of heads.
        hidden: Hidden width of the feed-forward; 4 * dim by default.
        activation: 'tanh' or 'gelu'.
        attention: Other arguments of :class:`SelfAttention`.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        hidden: int | None = None,
        activation: str = 'gelu',
        **attention: Any,
    ) -> None:
        super().__init__()
        check_choice('activation', activation, ACTIVATIONS)
        hidden = hidden or 4 * dim
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attention = SelfAttention(dim, num_heads, **attention)
        self.fc1, self.fc2 = nn.Linear(dim, hidden), nn.Linear(hidden, dim)
        self.activation = ACTIVATIONS[activation]

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, S, dim) to the same shape."""
        x = x + self.attention(self.norm1(x))
        return x + self.fc2(self.activation(self.fc1(self.norm2(x))))
