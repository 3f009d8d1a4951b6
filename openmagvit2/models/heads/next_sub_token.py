"""Next sub-token prediction: a small transformer inside each token (paper Eq. 6, spec §4.1)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from openmagvit2.models.layers.rope import rope_table
from openmagvit2.models.layers.transformer_block import RMSNorm, TransformerBlock
from openmagvit2.registry import HEADS


@HEADS.register_module()
class NextSubTokenHead(nn.Module):
    """Predicts sub-token j of a token from its context vector and its sub-tokens before j.

    Args:
        vocab_sizes: Sizes of the sub-vocabularies, any number of them; the factorization's by default of the generator.
        dim, num_heads: The backbone's.
        num_layers: Intra-token blocks.
        dropout: In the blocks.
    """

    joint = False

    def __init__(
        self, *, vocab_sizes: Sequence[int], dim: int = 1024, num_heads: int = 16, num_layers: int = 2, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.vocab_sizes = list(vocab_sizes)
        self.embeddings = nn.ModuleList(nn.Embedding(size, dim) for size in self.vocab_sizes)
        self.blocks = nn.ModuleList(TransformerBlock(dim, num_heads, dropout) for _ in range(num_layers))
        self.norm = RMSNorm(dim)
        self.classifiers = nn.ModuleList(nn.Linear(dim, size, bias=False) for size in self.vocab_sizes)
        # The official model reuses the first rows of the image's table: the context at the zero row, then the top row of the grid.
        table = rope_table((1, max(len(self.vocab_sizes) - 1, 1)), dim // num_heads)
        self.register_buffer('rope', table, persistent=False)
        for module in (*self.embeddings, *(m for m in self.blocks.modules() if isinstance(m, nn.Linear))):
            nn.init.normal_(module.weight, 0.0, 0.02)
        for classifier in self.classifiers:
            nn.init.zeros_(classifier.weight)

    def embed(self, sub_indices: Tensor) -> Tensor:
        """int64 (B, T, k) to the sum of the sub-tokens' embeddings (B, T, dim)."""
        return sum(table(sub_indices[..., i]) for i, table in enumerate(self.embeddings))

    def logits(self, context: Tensor, sub_indices: Tensor) -> list[Tensor]:
        """Context (B, T, dim) and true sub-tokens (B, T, k) to logits (B, T, V_i) of each sub-token."""
        before = [table(sub_indices[..., i]) for i, table in enumerate(self.embeddings[:-1])]
        x = torch.stack([context, *before], 2).flatten(0, 1)
        for block in self.blocks:
            x = block(x, self.rope[: x.shape[1]])
        x = self.norm(x).unflatten(0, context.shape[:2])
        return [classifier(x[:, :, i]) for i, classifier in enumerate(self.classifiers)]

    def loss(self, context: Tensor, sub_indices: Tensor) -> dict[str, Tensor]:
        """Mean cross-entropy in nats of each sub-token, by name."""
        logits = self.logits(context, sub_indices)
        return {f'sub_token_{i}': F.cross_entropy(x.flatten(0, 1), sub_indices[..., i].flatten()) for i, x in enumerate(logits)}
