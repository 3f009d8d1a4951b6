"""GPT-2's transformer with learned positions.

The dimensions are those of RQ-Transformer: docs/reference/specification.md, Residual quantization.
"""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from openmagvit2.errors import UserError
from openmagvit2.models.backbones.base import Backbone
from openmagvit2.models.layers.gpt_block import GptBlock
from openmagvit2.models.layers.init import init_normal
from openmagvit2.models.layers.kv_cache import LayerCache, new_cache
from openmagvit2.models.layers.masks import group_mask, set_numbers
from openmagvit2.registry import BACKBONES
from openmagvit2.signatures import Count, Fraction, Weight


@BACKBONES.register_module()
class Gpt(Backbone):
    """One prefix row and token embeddings to context vectors; ends without a norm, which the head
    owns.

    Args:
        grid: Sides of the token grid; set by the generator.
        dim, num_layers, num_heads: 1536, 12, 24 is the body of the RQ-Transformer of 480 M.
        head_dim: Width of a head; dim / num_heads by default.
        hidden: Width between the two layers of a feed-forward; 4 * dim by default.
        activation: Function of the feed-forward: 'gelu', exact, or 'squared_relu'.
        time_mixing: Whether attention reads a mixture of each row and the one before, in learned
            shares (ViT-VQGAN's public code).
        dropout: After attention and feed-forward.
        num_positions: Rows of the table of positions; one for the prefix and one for each token by
            default, of which the last is never read. VQGAN's files have as many as there are
            tokens, or more.
        initial_deviation: Deviation of linear layers' normal weights, with zero biases; None
            keeps torch's initial weights, as in RQ-Transformer's code.
        position_deviation: Deviation of the normal positions.
        checkpoint_blocks: Keep the inputs of blocks only, and compute the rest again in the
            backward pass: less memory, same numbers.

    Raises:
        UserError: ``num_positions`` is below the number of tokens, ``num_heads`` does not divide
            ``dim``, or there is no such ``activation``.
    """

    supports = frozenset({'groups'})

    def __init__(
        self,
        *,
        grid: Sequence[int] = (16, 16),
        dim: Count = 1536,
        num_layers: Count = 12,
        num_heads: Count = 24,
        head_dim: Count | None = None,
        hidden: Count | None = None,
        activation: str = 'gelu',
        time_mixing: bool = False,
        dropout: Fraction = 0.1,
        num_positions: Count | None = None,
        initial_deviation: Weight | None = 0.02,
        position_deviation: Weight = 0.02,
        checkpoint_blocks: bool = False,
    ) -> None:
        super().__init__()
        self.dim, self.num_heads = dim, num_heads
        self.num_tokens = math.prod(grid)
        # The last token is never an input.
        if num_positions is not None and num_positions < self.num_tokens:
            raise UserError(
                f'model.backbone.num_positions={num_positions} is too small: {self.num_tokens} '
                f'tokens need at least {self.num_tokens}.'
            )
        self.position_embedding = nn.Embedding(num_positions or 1 + self.num_tokens, dim)
        attention: dict[str, Any] = dict(head_dim=head_dim, time_mixing=time_mixing)
        self.blocks = nn.ModuleList(
            GptBlock(dim, num_heads, dropout, hidden, activation, **attention)
            for _ in range(num_layers)
        )
        if initial_deviation is not None:
            self.blocks.apply(partial(init_normal, deviation=initial_deviation))
        nn.init.normal_(self.position_embedding.weight, 0.0, position_deviation)
        self.checkpoint_blocks = checkpoint_blocks

    def new_cache(self, rows: int | None = None) -> list[LayerCache]:
        """See :meth:`Backbone.new_cache`: one cache for each block."""
        return new_cache(len(self.blocks), rows or self.num_tokens)

    def forward(
        self,
        x: Tensor,
        *,
        groups: Sequence[int] | None = None,
        cache: list[LayerCache] | None = None,
        **others: Any,
    ) -> Tensor:
        """See :meth:`Backbone.forward`."""
        self.reject(**others)
        start, size = cache[0].filled if cache else 0, x.shape[1]
        x = x + self.position_embedding.weight[start : start + size]
        mask = None
        if groups:
            mask = group_mask(set_numbers(groups, x.device), size, start + size)
        caches: Sequence[LayerCache | None] = cache or [None] * len(self.blocks)
        for block, own in zip(self.blocks, caches, strict=True):
            if self.checkpoint_blocks and own is None and torch.is_grad_enabled():
                x = checkpoint(block, x, None, mask, use_reentrant=False)
            else:
                x = block(x, own, mask)
        return x
