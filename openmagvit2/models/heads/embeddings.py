"""Sub-tokens as vectors: the part of a head that the backbone's input is made with."""

from collections.abc import Sequence

from torch import Tensor, nn

from openmagvit2.models.heads.code_embedding import CodeEmbedding, Rows
from openmagvit2.models.layers.transformer_block import init_normal


class TokenEmbedding(nn.ModuleList):
    """A table for each sub-token.

    Args:
        vocab_sizes: Sizes of the sub-vocabularies.
        dim: Width of the backbone.
        more_rows: Rows of the first table behind those of the codes, for labels and masks.
        row_dim: Unused here; see :class:`CodeEmbedding`.
    """

    needs_rows = False

    def __init__(
        self, vocab_sizes: Sequence[int], dim: int, more_rows: int = 0, row_dim: int | None = None
    ) -> None:
        more = [more_rows] + [0] * (len(vocab_sizes) - 1)
        super().__init__(
            nn.Embedding(size + extra, dim) for size, extra in zip(vocab_sizes, more, strict=True)
        )
        self.num_codes = vocab_sizes[0]

    def init_weights(self) -> None:
        """Draw normal tables of deviation 0.02."""
        self.apply(init_normal)

    def digit(self, i: int, values: Tensor, rows: Rows | None = None) -> Tensor:
        """Map values of sub-token i, int64 (...), to vectors (..., dim)."""
        return self[i](values)

    def forward(self, sub_indices: Tensor, rows: Rows | None = None) -> Tensor:
        """Map int64 (B, T, k) to the sum of the sub-tokens' vectors (B, T, dim)."""
        first, *others = [self.digit(i, x) for i, x in enumerate(sub_indices.unbind(-1))]
        return sum(others, first)


EMBEDDINGS = dict(TokenEmbedding=TokenEmbedding, CodeEmbedding=CodeEmbedding)
