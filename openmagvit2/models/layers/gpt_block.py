"""Pre-norm block of GPT-2: LayerNorm, attention with biases, exact GELU (RQ-Transformer)."""

import torch.nn.functional as F
from torch import Tensor, nn

from openmagvit2.errors import UserError
from openmagvit2.models.layers.kv_cache import LayerCache
from openmagvit2.models.layers.transformer_block import attend


class GptAttention(nn.Module):
    """Self-attention with biases; queries, keys and values in one layer."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        if dim % num_heads:
            raise UserError(f'dim={dim} does not divide into num_heads={num_heads}.')
        self.num_heads = num_heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)

    def forward(
        self, x: Tensor, cache: LayerCache | None = None, mask: Tensor | None = None
    ) -> Tensor:
        """See :meth:`GptBlock.forward`."""
        q, k, v = (
            part.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for part in self.qkv(x).chunk(3, -1)
        )
        if cache is not None:
            k, v = cache.append(k, v)
        return self.out(attend(q, k, v, mask).transpose(1, 2).flatten(-2).type_as(x))


class GptBlock(nn.Module):
    """``x + attention(norm(x))``, then ``x + fc2(gelu(fc1(norm(x))))`` with 4 * dim hidden units.

    Args:
        dim, num_heads: Width and heads.
        dropout: After attention and after the feed-forward.
    """

    def __init__(self, dim: int, num_heads: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(dim)
        self.attention = GptAttention(dim, num_heads)
        self.ffn_norm = nn.LayerNorm(dim)
        self.fc1, self.fc2 = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: Tensor, cache: LayerCache | None = None, mask: Tensor | None = None
    ) -> Tensor:
        """Rows (B, T, dim) to rows of the same shape.

        Args:
            x: Rows behind those in the cache.
            cache: Keys and values of the rows before; these are appended.
            mask: bool (T, rows in all), True where a row may look; causal by default.
        """
        x = x + self.dropout(self.attention(self.attention_norm(x), cache, mask))
        return x + self.dropout(self.fc2(F.gelu(self.fc1(self.ffn_norm(x)))))


def init_gpt(module: nn.Module, deviation: float | None) -> None:
    """Normal weights and zero biases of all linear layers and embeddings within.

    Args:
        module: A network.
        deviation: Standard deviation of the weights; None keeps torch's initial weights.
    """
    if deviation is None:
        return
    for part in module.modules():
        if isinstance(part, (nn.Linear, nn.Embedding)):
            nn.init.normal_(part.weight, 0.0, deviation)
        if isinstance(part, nn.Linear) and part.bias is not None:
            nn.init.zeros_(part.bias)
