"""Llama with adaptive norms (AdaLN): the transformer of IBQ's auto-regressive models
(docs/reference/specification.md, Index backpropagation).
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from openmagvit2.models.backbones.llama import Llama
from openmagvit2.models.layers.kv_cache import LayerCache
from openmagvit2.models.layers.transformer_block import TransformerBlock
from openmagvit2.registry import BACKBONES


class AdaTransformerBlock(TransformerBlock):
    """``x + g1 * attention(norm(x) * (1 + s1) + b1)``, and likewise the feed-forward, with gates,
    scales and shifts ``(g1, g2, s1, s2, b1, b2) = modulation(silu(condition))``.
    """

    def __init__(self, dim: int, num_heads: int, dropout: float = 0.1) -> None:
        super().__init__(dim, num_heads, dropout)
        self.modulation = nn.Linear(dim, 6 * dim)

    def forward(
        self,
        x: Tensor,
        rope: Tensor,
        cache: LayerCache | None = None,
        mask: Tensor | None = None,
        condition: Tensor | None = None,
    ) -> Tensor:
        """See :meth:`TransformerBlock.forward`.

        Args:
            x, rope, cache, mask: See :meth:`TransformerBlock.forward`.
            condition: (B, dim), shared by all rows; zero by default.
        """
        if condition is None:
            condition = x.new_zeros(len(x), x.shape[-1])
        g1, g2, s1, s2, b1, b2 = self.modulation(F.silu(condition))[:, None].chunk(6, -1)
        hidden = self.attention_norm(x) * (1 + s1) + b1
        x = x + self.kept(g1 * self.attention(hidden, rope, cache, mask))
        return x + self.kept(g2 * self.feed_forward(self.ffn_norm(x) * (1 + s2) + b2))


@BACKBONES.register_module()
class AdaLlama(Llama):
    """:class:`Llama` with adaptive norms. The backbone contains the final norm, so set
    ``norm=None`` in the head.

    Args:
        gate_gain: Factor of the initial weights that produce the gates of the branches: 1e-3 for
            IBQ's B and L, 1e-4 for XL, 1e-5 for XXL.
        arguments: Arguments of :class:`Llama`; dim, num_layers, num_heads 1024, 16, 16 is IBQ's B.
    """

    supports = frozenset({'positions', 'groups', 'condition'})
    block_class = AdaTransformerBlock

    def __init__(self, *, gate_gain: float = 1e-3, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.norm = nn.RMSNorm(self.dim, eps=1e-5)
        self.modulation = nn.Linear(self.dim, 2 * self.dim)
        self._init_modulations(gate_gain)

    @torch.no_grad()
    def _init_modulations(self, gate_gain: float) -> None:
        nn.init.normal_(self.modulation.weight, 0.0, 0.02)
        parts = [module for name, module in self.named_modules() if name.endswith('modulation')]
        for part in parts:
            part.weight *= 0.5
            nn.init.zeros_(part.bias)
            if part is not self.modulation:
                part.weight[: 2 * self.dim] *= 2 * gate_gain

    def forward(self, x: Tensor, *, condition: Tensor | None = None, **given: Any) -> Tensor:
        """See :meth:`Backbone.forward`; ``condition`` is zero by default."""
        if condition is None:
            condition = x.new_zeros(len(x), self.dim)
        x = super().forward(x, condition=condition, **given)
        scale, shift = self.modulation(F.silu(condition))[:, None].chunk(2, -1)
        return self.norm(x) * (1 + scale) + shift
