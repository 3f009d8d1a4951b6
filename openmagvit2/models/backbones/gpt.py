"""GPT-2's transformer with learned positions; the default dimensions are those of RQ-Transformer
(docs/reference/specification.md, Residual quantization).
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
from openmagvit2.models.layers.masks import group_mask, group_numbers
from openmagvit2.registry import BACKBONES
from openmagvit2.signatures import Count, Fraction, Weight


@BACKBONES.register_module()
class Gpt(Backbone):
    """Map one prefix row and token embeddings to context vectors; the final norm is in the head.

    Args:
        grid: Sides of the token grid; set by the generator.
        dim, num_layers, num_heads: 1536, 12, 24 is the body of the 480 M RQ-Transformer.
        head_dim: Width of a head; dim / num_heads by default.
        hidden: Hidden width of the feed-forward; 4 * dim by default.
        activation: Activation of the feed-forward: 'gelu' (exact) or 'squared_relu'.
        time_mixing: Whether the input of attention is a learned mixture of each row and the
            previous one (ViT-VQGAN's public code).
        dropout: Dropout rate after attention and feed-forward.
        num_positions: Rows of the position table; by default one for the prefix and one for each
            token, of which the last is never used. VQGAN's files have one per token, or more.
        initial_deviation: Deviation of the initial weights of linear layers, with zero biases; None
            keeps torch's initialization, as in RQ-Transformer's code.
        position_deviation: Deviation of the initial positions.
        checkpoint_blocks: Store only the inputs of blocks and recompute the rest in the backward
            pass (activation checkpointing): less memory, same results.

    Raises:
        UserError: ``num_positions`` is below the number of tokens, ``num_heads`` does not divide
            ``dim``, or ``activation`` is unknown.
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
        """See :meth:`Backbone.new_cache`: one cache per block."""
        return new_cache(len(self.blocks), rows or self.num_tokens)

    def forward(
        self,
        x: Tensor,
        *,
        groups: Sequence[int] | None = None,
        cache: list[LayerCache] | None = None,
        **others: Any,
    ) -> Tensor:
        """Map rows (B, S, dim) to context vectors (B, S, dim); see :meth:`Backbone.forward`."""
        self.reject(**others)
        start, size = cache[0].filled if cache else 0, x.shape[1]
        x = x + self.position_embedding.weight[start : start + size]
        mask = None
        if groups:
            mask = group_mask(group_numbers(groups, x.device), size, start + size)
        caches: Sequence[LayerCache | None] = cache or [None] * len(self.blocks)
        for block, own in zip(self.blocks, caches, strict=True):
            if self.checkpoint_blocks and own is None and torch.is_grad_enabled():
                x = checkpoint(block, x, None, mask, use_reentrant=False)
            else:
                x = block(x, own, mask)
        return x
