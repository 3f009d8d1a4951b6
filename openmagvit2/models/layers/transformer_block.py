"""Pre-norm Llama block: RMSNorm, rotary attention, SwiGLU (spec §4.2)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from openmagvit2.errors import UserError
from openmagvit2.models.layers.kv_cache import LayerCache, causal_mask
from openmagvit2.models.layers.rope import apply_rope


class RMSNorm(nn.Module):
    """``x / rms(x) * weight`` over the last axis, computed in float32."""

    def __init__(self, dim: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        """(..., dim) to the same shape."""
        wide = x.float()
        return (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.eps)).type_as(
            x
        ) * self.weight


# Up to this length the fused kernels lose to plain sums: the intra-token blocks have thousands of
# sequences of 2.
SHORT = 4


def short_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Causal attention over (B, heads, T, head_dim) by elementwise products."""
    scores = (q[:, :, :, None] * k[:, :, None]).sum(-1) * q.shape[-1] ** -0.5
    scores = scores.masked_fill(~causal_mask(q.shape[2], q.shape[2], q.device), float('-inf'))
    return (scores.softmax(-1)[..., None] * v[:, :, None]).sum(-2)


class Attention(nn.Module):
    """Causal self-attention with rotary queries and keys, without biases."""

    def __init__(self, dim: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        if dim % num_heads:
            raise UserError(f'dim={dim} does not divide into num_heads={num_heads}.')
        self.num_heads = num_heads
        self.dropout = dropout
        self.wqkv = nn.Linear(dim, 3 * dim, bias=False)
        self.wo = nn.Linear(dim, dim, bias=False)

    def forward(self, x: Tensor, rope: Tensor, cache: LayerCache | None = None) -> Tensor:
        """(B, T, dim) with the table's rows (T, head_dim / 2, 2) to (B, T, dim); positions in the
        cache come before.
        """
        q, k, v = (part.unflatten(-1, (self.num_heads, -1)) for part in self.wqkv(x).chunk(3, -1))
        q, k = apply_rope(q, rope), apply_rope(k, rope)
        q, k, v = (t.transpose(1, 2) for t in (q, k, v.type_as(q)))
        if cache is not None:
            k, v = cache.append(k, v)
        new, total = q.shape[2], k.shape[2]
        # SDPA's own causal mask is aligned to the first key; a single query sees all keys, several
        # behind a cache need a mask.
        if new == total <= SHORT:
            out = short_attention(q, k, v)
        else:
            mask = causal_mask(new, total, x.device) if 1 < new < total else None
            out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=new == total)
        out = self.wo(out.transpose(1, 2).flatten(-2).type_as(x))
        return F.dropout(out, self.dropout, self.training)


class FeedForward(nn.Module):
    """SwiGLU with two thirds of 4 * dim hidden units, rounded up to a multiple of 256."""

    def __init__(self, dim: int, dropout: float) -> None:
        super().__init__()
        hidden = -(-int(2 * 4 * dim / 3) // 256) * 256
        self.dropout = dropout
        self.w1 = nn.Linear(dim, hidden, bias=False)
        self.w3 = nn.Linear(dim, hidden, bias=False)
        self.w2 = nn.Linear(hidden, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(..., dim) to the same shape."""
        return F.dropout(self.w2(F.silu(self.w1(x)) * self.w3(x)), self.dropout, self.training)


class TransformerBlock(nn.Module):
    """``x + attention(norm(x))``, then ``x + feed_forward(norm(x))``; parameter names are the
    official ones.
    """

    def __init__(self, dim: int, num_heads: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.attention = Attention(dim, num_heads, dropout)
        self.feed_forward = FeedForward(dim, dropout)
        self.attention_norm = RMSNorm(dim)
        self.ffn_norm = RMSNorm(dim)

    def forward(self, x: Tensor, rope: Tensor, cache: LayerCache | None = None) -> Tensor:
        """(B, T, dim) with the table's rows (T, head_dim / 2, 2) to (B, T, dim); position t sees
        positions up to t.
        """
        x = x + self.attention(self.attention_norm(x), rope, cache)
        return x + self.feed_forward(self.ffn_norm(x))
