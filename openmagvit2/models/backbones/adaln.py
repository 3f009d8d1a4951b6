"""VAR's transformer with adaptive norms (AdaLN) (docs/reference/specification.md, VAR)."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from openmagvit2.models.backbones.base import Backbone
from openmagvit2.models.layers.arguments import check_heads
from openmagvit2.models.layers.init import init_normal
from openmagvit2.models.layers.kv_cache import LayerCache, new_cache
from openmagvit2.models.layers.masks import group_mask, group_numbers
from openmagvit2.registry import BACKBONES
from openmagvit2.signatures import Count, Fraction

EPS = 1e-6
# Maximum and initial value of the factor of queries.
LARGEST_SCALE, FIRST_SCALE = 100.0, 4.0


class CosineAttention(nn.Module):
    """Cosine attention: queries and keys of unit length, with a learned scale per head."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        check_heads(dim, num_heads)
        self.num_heads = num_heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        # Keys have no bias, which would rotate all of them alike.
        self.q_bias, self.v_bias = (nn.Parameter(torch.zeros(dim)) for _ in range(2))
        self.log_scale = nn.Parameter(torch.full((num_heads,), math.log(FIRST_SCALE)))
        self.out = nn.Linear(dim, dim)

    def forward(self, x: Tensor, mask: Tensor | None, cache: LayerCache | None = None) -> Tensor:
        """Map (B, S, dim) and a mask (S, rows), True where a row may attend, to (B, S, dim)."""
        bias = torch.cat([self.q_bias, torch.zeros_like(self.q_bias), self.v_bias])
        qkv = F.linear(x, self.qkv.weight, bias)
        q, k, v = rearrange(qkv, 'b s (n h d) -> n b h s d', n=3, h=self.num_heads)
        scale = self.log_scale.clamp_max(math.log(LARGEST_SCALE)).exp()[:, None, None]
        q = (F.normalize(q.float(), dim=-1) * scale).type_as(v)
        k = F.normalize(k.float(), dim=-1).type_as(v)
        if cache is not None:
            k, v = cache.append(k, v)
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=1.0)
        return self.out(out.transpose(1, 2).flatten(-2))


class AdaLnBlock(nn.Module):
    """AdaLN block: attention and feed-forward with gates, and norms with scales and shifts, that
    depend on a condition.

    Args:
        dim, num_heads: Width and number of heads.
        drop_path: Probability that a sample skips a branch in training.
        shared: Whether one layer computes the modulation for all blocks; each block then adds a
            learned offset.
    """

    def __init__(self, dim: int, num_heads: int, drop_path: float, shared: bool = False) -> None:
        super().__init__()
        self.attention = CosineAttention(dim, num_heads)
        self.fc1, self.fc2 = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)
        self.modulation = None if shared else nn.Linear(dim, 6 * dim)
        self.offset = nn.Parameter(torch.randn(6, dim) * dim**-0.5) if shared else None
        self.drop_path = drop_path

    def forward(
        self, x: Tensor, condition: Tensor, mask: Tensor | None, cache: LayerCache | None = None
    ) -> Tensor:
        """Map (B, S, dim) and a condition (B, dim), or the shared modulation (B, 6 * dim), to
        (B, S, dim).
        """
        g1, g2, s1, s2, b1, b2 = self._modulation(condition)[:, None].chunk(6, -1)
        x = x + self._kept(g1 * self.attention(modulated(x, s1, b1), mask, cache))
        hidden = F.gelu(self.fc1(modulated(x, s2, b2)), approximate='tanh')
        return x + self._kept(g2 * self.fc2(hidden))

    def _modulation(self, condition: Tensor) -> Tensor:
        if self.modulation is None:
            assert self.offset is not None
            return condition + self.offset.flatten()
        return self.modulation(F.silu(condition))

    def _kept(self, x: Tensor) -> Tensor:
        """Apply stochastic depth: in training, drop the branch of some samples and rescale the
        others.
        """
        if not self.drop_path or not self.training:
            return x
        keep = 1 - self.drop_path
        return x * (torch.rand(len(x), 1, 1, device=x.device) < keep) / keep


def modulated(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Return ``norm(x) * (1 + scale) + shift`` over the last axis."""
    return F.layer_norm(x, x.shape[-1:], eps=EPS) * (1 + scale) + shift


@BACKBONES.register_module()
class AdaLnTransformer(Backbone):
    """Map the inputs of token levels to context vectors; a level attends to itself and all previous
    levels.

    There is no shift: row t predicts token t. The backbone adds embeddings of positions and levels,
    and contains the final norm, which is adaptive too.

    Args:
        grid: Sides of the token grid; set by the generator.
        levels: Number of tokens of each level; set by the generator. By default, each cell is a
            level. The input of the first level is the condition's vector.
        dim, num_layers, num_heads: 1024, 16, 16 is VAR-d16.
        drop_path: Probability that a sample skips a branch of the last block; it rises linearly
            from 0 in the first block. VAR: 0.1 * num_layers / 24.
        first_gain: Factor of the initial weights that produce the gates of the branches; 1e-5 to
            1e-3 in VAR.
        shared_modulation: Compute the modulation of all blocks with one layer, as in VAR-d36.
    """

    supports = frozenset({'condition', 'groups'})
    level_of: Tensor

    def __init__(
        self,
        *,
        grid: Sequence[int] = (16, 16),
        levels: Sequence[int] | None = None,
        dim: Count = 1024,
        num_layers: Count = 16,
        num_heads: Count = 16,
        drop_path: Fraction = 0.0,
        first_gain: float = 1e-3,
        shared_modulation: bool = False,
    ) -> None:
        super().__init__()
        self.dim, self.num_heads = dim, num_heads
        self.levels = tuple(levels) if levels is not None else (1,) * math.prod(grid)
        level_of = [level for level, size in enumerate(self.levels) for _ in range(size)]
        self.register_buffer('level_of', torch.tensor(level_of), persistent=False)
        self.start = nn.Parameter(torch.empty(self.levels[0], dim))
        self.position_embedding = nn.Parameter(torch.empty(len(level_of), dim))
        self.level_embedding = nn.Embedding(len(self.levels), dim)
        last = max(num_layers - 1, 1)
        blocks = [
            AdaLnBlock(dim, num_heads, drop_path * i / last, shared_modulation)
            for i in range(num_layers)
        ]
        self.blocks = nn.ModuleList(blocks)
        self.shared_modulation = nn.Linear(dim, 6 * dim) if shared_modulation else None
        self.modulation = nn.Linear(dim, 2 * dim)
        self._init(blocks, first_gain)

    @torch.no_grad()
    def _init(self, blocks: list[AdaLnBlock], first_gain: float) -> None:
        """Initialize like VAR: deviation 1 / sqrt(3 dim), with smaller weights in the last layers
        of branches and in modulations.
        """
        deviation = (3 * self.dim) ** -0.5
        self.apply(partial(init_normal, deviation=deviation))
        for table in (self.start, self.position_embedding):
            nn.init.normal_(table, 0.0, deviation)
        for block in blocks:
            rows = block.offset
            if block.modulation is not None:
                rows = block.modulation.weight.unflatten(0, (6, -1))
            assert rows is not None  # a block has one of the two
            # The first two are gates; scales and shifts follow.
            rows[:2] *= first_gain
            rows[2:] *= 0.5
            for last in (block.attention.out, block.fc2):
                last.weight /= math.sqrt(2 * len(blocks))
        self.modulation.weight *= 0.5

    def new_cache(self, rows: int | None = None) -> list[LayerCache]:
        """See :meth:`Backbone.new_cache`: one cache for each block."""
        return new_cache(len(self.blocks), rows or len(self.position_embedding))

    def forward(
        self,
        x: Tensor,
        *,
        condition: Tensor | None = None,
        groups: Sequence[int] | None = None,
        cache: list[LayerCache] | None = None,
        **others: Any,
    ) -> Tensor:
        """See :meth:`Backbone.forward`; ``condition`` is zero by default, ``groups`` the levels."""
        self.reject(**others)
        start, size = cache[0].filled if cache else 0, x.shape[1]
        rows = slice(start, start + size)
        places = self.position_embedding[rows] + self.level_embedding(self.level_of[rows])
        if start == 0:
            first = len(self.start)
            places = torch.cat([places[:first] + self.start, places[first:]])
        x = x + places
        if condition is None:
            condition = x.new_zeros(len(x), self.dim)
        numbers = group_numbers(groups, x.device) if groups else self.level_of
        mask = group_mask(numbers, size, start + size)
        caches: Sequence[LayerCache | None] = cache or [None] * len(self.blocks)
        shared, given = self.shared_modulation, condition
        if shared is not None:
            given = shared(F.silu(condition))
        for block, own in zip(self.blocks, caches, strict=True):
            x = block(x, given, mask, own)
        scale, shift = self.modulation(F.silu(condition))[:, None].chunk(2, -1)
        # Computed in float32; returned in the dtype of the weights.
        return modulated(x.float(), scale, shift).to(self.modulation.weight.dtype)
