"""Transformer blocks over the patches of an image, with heads of any width (ViT-VQGAN, BSQ-ViT)."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from openmagvit2.errors import UserError

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = dict(tanh=torch.tanh, gelu=F.gelu)


class SelfAttention(nn.Module):
    """Attention of all positions to all; queries, keys and values in one layer.

    Args:
        dim: Width.
        num_heads: Heads.
        head_dim: Width of a head, whatever ``dim`` is.
        qkv_bias: Whether queries, keys and values have a bias; the output has one.
    """

    def __init__(self, dim: int, num_heads: int, head_dim: int, qkv_bias: bool) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(dim, 3 * num_heads * head_dim, bias=qkv_bias)
        self.out = nn.Linear(num_heads * head_dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, S, dim) to the same shape."""
        q, k, v = (
            part.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for part in self.qkv(x).chunk(3, -1)
        )
        out = F.scaled_dot_product_attention(q, k, v)
        return self.out(out.transpose(1, 2).flatten(-2))


class VitBlock(nn.Module):
    """``x + attention(norm1(x))``, then ``x + fc2(activation(fc1(norm2(x))))``.

    Args:
        dim, num_heads, head_dim, qkv_bias: See :class:`SelfAttention`.
        hidden: Width between the two layers of the feed-forward.
        activation: 'tanh' or 'gelu'.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        *,
        head_dim: int,
        hidden: int,
        activation: str = 'tanh',
        qkv_bias: bool = False,
    ) -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            raise UserError(f"activation is 'tanh' or 'gelu', got {activation!r}.")
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attention = SelfAttention(dim, num_heads, head_dim, qkv_bias)
        self.fc1, self.fc2 = nn.Linear(dim, hidden), nn.Linear(hidden, dim)
        self.activation = ACTIVATIONS[activation]

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, S, dim) to the same shape."""
        x = x + self.attention(self.norm1(x))
        return x + self.fc2(self.activation(self.fc1(self.norm2(x))))
