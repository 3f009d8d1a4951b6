"""Llama-style transformer over the tokens of an image (paper Eq. 5)."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from openmagvit2.errors import UserError
from openmagvit2.models.backbones.base import Backbone
from openmagvit2.models.layers.init import init_normal
from openmagvit2.models.layers.kv_cache import LayerCache, new_cache
from openmagvit2.models.layers.masks import group_mask, group_numbers
from openmagvit2.models.layers.rope import cell_numbers, rope, rope_table
from openmagvit2.models.layers.transformer_block import TransformerBlock
from openmagvit2.registry import BACKBONES
from openmagvit2.signatures import Count, Fraction


@BACKBONES.register_module()
class Llama(Backbone):
    """Map prefix and token embeddings to context vectors; the final norm is in the head.

    Args:
        grid: Sides of the token grid, one or more; set by the generator.
        dim, num_layers, num_heads: 1024, 24, 16 is the paper's B.
        dropout: Dropout rate after attention and feed-forward.
        drop_path: Probability that a sample skips a branch of the last block in training; it rises
            linearly from 0 in the first block.
        checkpoint_blocks: Store only the inputs of blocks and recompute the rest in the backward
            pass (activation checkpointing): less memory, same results.
        compile_blocks: Apply ``torch.compile`` to each block for training and likelihoods; state
            dict names do not change, and sampling with a KV cache is not compiled. Without a
            compiler on the machine, the first batch fails with torch's error.
        learned_positions: Also add a learned embedding of each position to the input. Rotary
            embeddings encode only relative positions; if images are aligned, absolute positions
            shorten a small training run (docs/quickstart.md).

    Raises:
        UserError: ``drop_path`` is not in [0, 1), or ``num_heads`` does not divide ``dim``.
    """

    rope: Tensor
    supports = frozenset({'positions', 'groups'})
    block_class: type[TransformerBlock] = TransformerBlock

    def __init__(
        self,
        *,
        grid: Sequence[int] = (16, 16),
        dim: Count = 1024,
        num_layers: Count = 24,
        num_heads: Count = 16,
        dropout: Fraction = 0.1,
        drop_path: Fraction = 0.0,
        checkpoint_blocks: bool = False,
        compile_blocks: bool = False,
        learned_positions: bool = False,
    ) -> None:
        super().__init__()
        self.grid, self.dim, self.num_heads = tuple(grid), dim, num_heads
        if not 0 <= drop_path < 1:
            raise UserError(f'model.backbone.drop_path must be in [0, 1), got {drop_path}.')
        blocks = [self.block_class(dim, num_heads, dropout) for _ in range(num_layers)]
        for number, block in enumerate(blocks):
            block.drop_path = drop_path * number / max(num_layers - 1, 1)
        self.blocks = nn.ModuleList(blocks)
        self.register_buffer('rope', rope_table(self.grid, dim // num_heads), persistent=False)
        self.position_embedding = nn.Embedding(len(self.rope), dim) if learned_positions else None
        self.apply(init_normal)
        self.checkpoint_blocks = checkpoint_blocks
        if compile_blocks:
            for block in blocks:
                block.compile()

    def new_cache(self, rows: int | None = None) -> list[LayerCache]:
        """See :meth:`Backbone.new_cache`: one cache per block."""
        return new_cache(len(self.blocks), rows or len(self.rope) - 1)

    def forward(
        self,
        x: Tensor,
        *,
        positions: Tensor | None = None,
        condition: Tensor | None = None,
        groups: Sequence[int] | None = None,
        cache: list[LayerCache] | None = None,
        **others: Any,
    ) -> Tensor:
        """Map rows (B, S, dim) to context vectors (B, S, dim); see :meth:`Backbone.forward`."""
        self.reject(condition=condition, **others)
        start = cache[0].filled if cache else 0
        rows = slice(start, start + x.shape[1])
        if positions is None:
            angles = self.rope[rows]
        else:
            angles = rope(positions, self.dim // self.num_heads)
        if self.position_embedding is not None:
            # The first row is that of the prefix.
            own = rows if positions is None else 1 + cell_numbers(positions, self.grid)
            x = x + self.position_embedding.weight[own]
        mask = None
        if groups:
            mask = group_mask(group_numbers(groups, x.device), x.shape[1], start + x.shape[1])
        given = () if condition is None else (condition,)
        caches: Sequence[LayerCache | None] = cache or [None] * len(self.blocks)
        for block, kept in zip(self.blocks, caches, strict=True):
            if self.checkpoint_blocks and kept is None and torch.is_grad_enabled():
                x = checkpoint(block, x, angles, None, mask, *given, use_reentrant=False)
            elif kept is None:
                x = block(x, angles, None, mask, *given)
            else:
                # Bypass the compiled call, which would recompile for each length of the cache.
                x = block.forward(x, angles, kept, mask, *given)
        return x
