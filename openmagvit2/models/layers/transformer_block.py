"""Pre-norm Llama block: RMSNorm, rotary attention, SwiGLU (docs/reference/specification.md)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from openmagvit2.models.layers.arguments import check_heads
from openmagvit2.models.layers.kv_cache import LayerCache
from openmagvit2.models.layers.masks import causal_mask
from openmagvit2.models.layers.rope import apply_rope

# Up to this length, plain sums are faster than fused kernels: intra-token blocks have thousands of
# sequences of length 2.
SHORT = 4


def short_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Compute causal attention over (B, heads, T, head_dim) with elementwise products."""
    scores = (q[:, :, :, None] * k[:, :, None]).sum(-1, dtype=torch.float32) * q.shape[-1] ** -0.5
    scores = scores.masked_fill(~causal_mask(q.shape[2], q.shape[2], q.device), float('-inf'))
    return (scores.softmax(-1).type_as(v)[..., None] * v[:, :, None]).sum(-2)


class Attention(nn.Module):
    """Self-attention with rotary position embedding, without biases.

    Raises:
        UserError: ``num_heads`` does not divide ``dim``.
    """

    def __init__(self, dim: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        check_heads(dim, num_heads)
        self.num_heads = num_heads
        self.dropout = dropout
        self.wqkv = nn.Linear(dim, 3 * dim, bias=False)
        self.wo = nn.Linear(dim, dim, bias=False)

    def forward(
        self, x: Tensor, rope: Tensor, cache: LayerCache | None = None, mask: Tensor | None = None
    ) -> Tensor:
        """See :meth:`TransformerBlock.forward`."""
        heads = self.num_heads
        qk, v = self.wqkv(x).unflatten(-1, (3 * heads, -1)).split([2 * heads, heads], -2)
        # Rotate in float32; attention and cache use the dtype of the projection's output.
        q, k = apply_rope(qk, rope).type_as(v).chunk(2, -2)
        q, k, v = (part.transpose(1, 2) for part in (q, k, v))
        if cache is not None:
            k, v = cache.append(k, v)
        out = attend(q, k, v, mask).transpose(1, 2).flatten(-2)
        return F.dropout(self.wo(out.type_as(x)), self.dropout, self.training)


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """Attend from queries (B, heads, new, d) to keys and values (B, heads, total, d).

    Args:
        q, k, v: Queries are those of the last ``new`` of ``total`` positions.
        mask: bool (new, total), True where a query may attend; causal by default.
    """
    new, total = q.shape[2], k.shape[2]
    if mask is None and new == total <= SHORT:
        return short_attention(q, k, v)
    # SDPA aligns its causal mask to the first key, so several queries after cached ones need an
    # explicit mask; a single query attends to all keys.
    causal = mask is None and new == total
    if mask is None and 1 < new < total:
        mask = causal_mask(new, total, q.device)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal)


class FeedForward(nn.Module):
    """SwiGLU feed-forward with 2/3 * 4 * dim hidden units, rounded up to a multiple of 256."""

    def __init__(self, dim: int, dropout: float) -> None:
        super().__init__()
        hidden = -(-int(2 * 4 * dim / 3) // 256) * 256
        self.dropout = dropout
        self.w1 = nn.Linear(dim, hidden, bias=False)
        self.w3 = nn.Linear(dim, hidden, bias=False)
        self.w2 = nn.Linear(hidden, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., dim) to the same shape."""
        return F.dropout(self.w2(F.silu(self.w1(x)) * self.w3(x)), self.dropout, self.training)


class TransformerBlock(nn.Module):
    """``x + attention(norm(x))``, then ``x + feed_forward(norm(x))``; parameter names are the
    official ones.

    Attributes:
        drop_path: Probability that a sample skips a branch in training.
    """

    drop_path: float = 0.0

    def __init__(self, dim: int, num_heads: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.attention = Attention(dim, num_heads, dropout)
        self.feed_forward = FeedForward(dim, dropout)
        self.attention_norm = nn.RMSNorm(dim, eps=1e-5)
        self.ffn_norm = nn.RMSNorm(dim, eps=1e-5)

    def forward(
        self, x: Tensor, rope: Tensor, cache: LayerCache | None = None, mask: Tensor | None = None
    ) -> Tensor:
        """Map rows (B, T, dim) to rows of the same shape.

        Args:
            x: Rows that follow those in the cache.
            rope: Rotary table of the rows, (T, head_dim / 2, 2) or (B, T, head_dim / 2, 2).
            cache: Keys and values of the previous rows; those of ``x`` are appended.
            mask: bool (T, total rows), True where a row may attend; causal by default.
        """
        x = x + self.kept(self.attention(self.attention_norm(x), rope, cache, mask))
        return x + self.kept(self.feed_forward(self.ffn_norm(x)))

    def kept(self, branch: Tensor) -> Tensor:
        """Apply stochastic depth to a branch (B, T, dim): drop it for some samples in training."""
        if not (self.training and self.drop_path):
            return branch
        return branch * F.dropout(branch.new_ones(len(branch), 1, 1), self.drop_path)
