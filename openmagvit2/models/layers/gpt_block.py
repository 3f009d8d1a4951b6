"""Pre-norm block of GPT-2: LayerNorm, attention with biases, exact GELU (RQ-Transformer); with the
variants of ViT-VQGAN's transformers.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from openmagvit2.errors import check_choice
from openmagvit2.models.layers.arguments import check_heads
from openmagvit2.models.layers.kv_cache import LayerCache
from openmagvit2.models.layers.transformer_block import attend

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = dict(
    gelu=F.gelu, squared_relu=lambda x: F.relu(x).square()
)


class TimeMixing(nn.Module):
    """Mix each row with the previous one, ``m u_t + (1 - m) u_{t-1}``, with zeros before the first;
    m is learned per channel (ViT-VQGAN's transformer).
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.arange(dim) / max(dim - 1, 1))

    def forward(self, x: Tensor, cache: LayerCache | None = None) -> Tensor:
        """Map rows (B, T, dim), which follow those in the cache, to the same shape."""
        before = F.pad(x[:, :-1], (0, 0, 1, 0)) if cache is None else cache.before(x)
        return self.weight * x + (1 - self.weight) * before


class GptAttention(nn.Module):
    """Self-attention with biases and a joint layer for queries, keys and values.

    Args:
        dim, num_heads: Width and number of heads.
        head_dim: Width of a head; dim / num_heads by default.
        time_mixing: Whether to apply :class:`TimeMixing` to the input.

    Raises:
        UserError: ``num_heads`` does not divide ``dim``, and ``head_dim`` is None.
    """

    def __init__(
        self, dim: int, num_heads: int, head_dim: int | None = None, time_mixing: bool = False
    ) -> None:
        super().__init__()
        if head_dim is None:
            check_heads(dim, num_heads)
        self.num_heads = num_heads
        inner = num_heads * (head_dim or dim // num_heads)
        self.mixing = TimeMixing(dim) if time_mixing else None
        self.qkv = nn.Linear(dim, 3 * inner)
        self.out = nn.Linear(inner, dim)

    def forward(
        self, x: Tensor, cache: LayerCache | None = None, mask: Tensor | None = None
    ) -> Tensor:
        """See :meth:`GptBlock.forward`."""
        if self.mixing is not None:
            x = self.mixing(x, cache)
        q, k, v = rearrange(self.qkv(x), 'b s (n h d) -> n b h s d', n=3, h=self.num_heads)
        if cache is not None:
            k, v = cache.append(k, v)
        return self.out(attend(q, k, v, mask).transpose(1, 2).flatten(-2).type_as(x))


class GptBlock(nn.Module):
    """``x + attention(norm(x))``, then ``x + fc2(activation(fc1(norm(x))))``.

    Args:
        dim, num_heads: Width and number of heads.
        dropout: Dropout rate after attention and after the feed-forward.
        hidden: Hidden width of the feed-forward; 4 * dim by default.
        activation: 'gelu' (exact) or 'squared_relu'.
        attention: Other arguments of :class:`GptAttention`.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        dropout: float = 0.1,
        hidden: int | None = None,
        activation: str = 'gelu',
        **attention: Any,
    ) -> None:
        super().__init__()
        check_choice('model.backbone.activation', activation, ACTIVATIONS)
        hidden = hidden or 4 * dim
        self.attention_norm = nn.LayerNorm(dim)
        self.attention = GptAttention(dim, num_heads, **attention)
        self.ffn_norm = nn.LayerNorm(dim)
        self.fc1, self.fc2 = nn.Linear(dim, hidden), nn.Linear(hidden, dim)
        self.activation, self.dropout = ACTIVATIONS[activation], nn.Dropout(dropout)

    def forward(
        self, x: Tensor, cache: LayerCache | None = None, mask: Tensor | None = None
    ) -> Tensor:
        """Map rows (B, T, dim) to rows of the same shape.

        Args:
            x: Rows that follow those in the cache.
            cache: Keys and values of the previous rows; those of ``x`` are appended.
            mask: bool (T, total rows), True where a row may attend; causal by default.
        """
        x = x + self.dropout(self.attention(self.attention_norm(x), cache, mask))
        return x + self.dropout(self.fc2(self.activation(self.fc1(self.ffn_norm(x)))))
