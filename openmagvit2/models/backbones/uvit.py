"""U-ViT: skip connections from early to late blocks (Bao et al. 2023), as in TiTok's larger
generator (docs/reference/specification.md, TiTok).
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from openmagvit2.errors import UserError
from openmagvit2.models.backbones.base import Backbone
from openmagvit2.models.layers.init import init_normal
from openmagvit2.models.layers.vit_block import VitBlock
from openmagvit2.registry import BACKBONES
from openmagvit2.signatures import Count


@BACKBONES.register_module()
class UVit(Backbone):
    """Map prefix and token embeddings to context vectors, with learned positions and bidirectional
    attention; the final norm is in the head.

    The outputs of the first half of the blocks are kept. After a middle block, each block of the
    second half also reads one of them, from the last to the first.

    Args:
        grid: Sides of the token grid; set by the generator.
        dim, num_layers, num_heads: 1024, 20, 16 is TiTok's; ``num_layers`` is even and does not
            count the middle block.
        hidden: Hidden width of the feed-forward; 4 * dim by default.

    Raises:
        UserError: ``num_heads`` does not divide ``dim``, or ``num_layers`` is odd.
    """

    causal = False

    def __init__(
        self,
        *,
        grid: Sequence[int] = (16, 16),
        dim: Count = 1024,
        num_layers: Count = 20,
        num_heads: Count = 16,
        hidden: Count | None = None,
    ) -> None:
        super().__init__()
        if num_layers % 2:
            raise UserError(
                f'model.backbone: UVit needs an even number of layers, got {num_layers}.'
            )
        self.dim, self.num_heads = dim, num_heads

        def blocks(count: int) -> nn.ModuleList:
            """Build a list of ``count`` blocks."""
            return nn.ModuleList(VitBlock(dim, num_heads, hidden) for _ in range(count))

        # One row for the prefix.
        self.position_embedding = nn.Embedding(1 + math.prod(grid), dim)
        self.in_blocks, (self.middle,) = blocks(num_layers // 2), blocks(1)
        self.skips = nn.ModuleList(nn.Linear(2 * dim, dim) for _ in range(num_layers // 2))
        self.out_blocks = blocks(num_layers // 2)
        self.apply(init_normal)

    def forward(self, x: Tensor, **others: Any) -> Tensor:
        """See :meth:`Backbone.forward`; all rows are one group."""
        self.reject(**others)
        x = x + self.position_embedding.weight[: x.shape[1]]
        kept = []
        for block in self.in_blocks:
            x = block(x)
            kept.append(x)
        x = self.middle(x)
        for skip, block in zip(self.skips, self.out_blocks, strict=True):
            x = block(skip(torch.cat([x, kept.pop()], -1)))
        return x
