"""Llama-style transformer over the tokens of an image (paper Eq. 5, spec §4)."""

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from openmagvit2.models.backbones.base import Backbone
from openmagvit2.models.layers.kv_cache import LayerCache, new_cache
from openmagvit2.models.layers.rope import rope_table
from openmagvit2.models.layers.transformer_block import TransformerBlock
from openmagvit2.registry import BACKBONES


@BACKBONES.register_module()
class Llama(Backbone):
    """Class and token embeddings to context vectors; ends without a norm, which the head owns.

    Args:
        grid: Height and width of the token grid; the generator hands over its own.
        dim, num_layers, num_heads: 1024, 24, 16 is the paper's B.
        dropout: After attention and feed-forward.
        checkpoint_blocks: Keep the inputs of blocks only, and compute the rest again in the
            backward pass: less memory, same numbers.
        compile_blocks: ``torch.compile`` each block for training and likelihoods; names in the
            state dict stay, and sampling with a cache runs as without. A machine without a compiler
            fails at the first batch, with torch's words.
        learned_positions: Also add a learned vector of each position to the input. Rotary
            embeddings know distances alone; where images are aligned, absolute places shorten a
            small training (docs/quickstart.md).
    """

    def __init__(
        self,
        *,
        grid: tuple[int, int] = (16, 16),
        dim: int = 1024,
        num_layers: int = 24,
        num_heads: int = 16,
        dropout: float = 0.1,
        checkpoint_blocks: bool = False,
        compile_blocks: bool = False,
        learned_positions: bool = False,
    ) -> None:
        super().__init__()
        self.dim, self.num_heads = dim, num_heads
        self.blocks = nn.ModuleList(
            TransformerBlock(dim, num_heads, dropout) for _ in range(num_layers)
        )
        self.register_buffer('rope', rope_table(tuple(grid), dim // num_heads), persistent=False)
        self.position_embedding = nn.Embedding(len(self.rope), dim) if learned_positions else None
        self.apply(init_normal)
        self.checkpoint_blocks = checkpoint_blocks
        if compile_blocks:
            for block in self.blocks:
                block.compile()

    def new_cache(self) -> list[LayerCache]:
        """One cache a layer, with room for the class and all tokens but the last, which is never an
        input.
        """
        return new_cache(len(self.blocks), len(self.rope) - 1)

    def forward(
        self, x: Tensor, cache: list[LayerCache] | None = None, positions: Tensor | None = None
    ) -> Tensor:
        """(B, T, dim), the class first, with T up to h * w, to context of the same shape; position
        t predicts token t.
        """
        start = cache[0].filled if cache else 0
        rows = slice(start, start + x.shape[1]) if positions is None else positions
        rope = self.rope[rows]
        if self.position_embedding is not None:
            x = x + self.position_embedding.weight[rows]
        for block, own in zip(self.blocks, cache or [None] * len(self.blocks), strict=True):
            if self.checkpoint_blocks and own is None and torch.is_grad_enabled():
                x = checkpoint(block, x, rope, use_reentrant=False)
            elif own is None:
                x = block(x, rope)
            else:
                # Past the compiled call: a cache is longer at each step, and each length would be
                # compiled anew.
                x = block.forward(x, rope, own)
        return x


def init_normal(module: nn.Module) -> None:
    """Normal weights of deviation 0.02 for linear layers and embeddings (spec §4.4)."""
    if isinstance(module, (nn.Linear, nn.Embedding)):
        nn.init.normal_(module.weight, 0.0, 0.02)
