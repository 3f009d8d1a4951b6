"""Llama whose norms a condition scales and shifts: the transformer of IBQ's auto-regressive models
(docs/reference/specification.md, Index backpropagation).
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from openmagvit2.models.backbones.llama import Llama
from openmagvit2.models.layers.ada_block import AdaTransformerBlock
from openmagvit2.models.layers.kv_cache import LayerCache
from openmagvit2.registry import BACKBONES


@BACKBONES.register_module()
class AdaLlama(Llama):
    """:class:`Llama` with modulated norms, the last of which belongs to the backbone: its head has
    ``norm=None``.

    Args:
        gate_gain: Factor of the initial weights that make the gates of the branches: 1e-3 for IBQ's
            B and L, 1e-4 for XL, 1e-5 for XXL.
        arguments: Those of :class:`Llama`; dim, num_layers, num_heads 1024, 16, 16 is IBQ's B.
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

    def forward(
        self,
        x: Tensor,
        *,
        positions: Tensor | None = None,
        targets: Tensor | None = None,
        condition: Tensor | None = None,
        groups: Sequence[int] | None = None,
        cache: list[LayerCache] | None = None,
    ) -> Tensor:
        """See :meth:`Backbone.forward`; ``condition`` is zero by default."""
        if condition is None:
            condition = x.new_zeros(len(x), self.dim)
        x = super().forward(
            x, positions=positions, targets=targets, condition=condition, groups=groups, cache=cache
        )
        scale, shift = self.modulation(F.silu(condition))[:, None].chunk(2, -1)
        return self.norm(x) * (1 + scale) + shift
