"""Sub-tokens as vectors: the part of a head that the backbone's input is made with."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from openmagvit2.models.layers.init import init_normal

# Sub-tokens int64 (B, T, k) to the quantizer's vectors (B, T, k, d).
Rows = Callable[[Tensor], Tensor]


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


class CodeEmbedding(nn.Module):
    """The quantizer's own vectors through one linear layer, which all sub-tokens share.

    The vectors are frozen and stay the quantizer's: each call gets them, and nothing of them is in
    the state dict. The factorization must be cut at the codebooks.

    Args:
        vocab_sizes: Sizes of the sub-vocabularies.
        dim: Width of the backbone.
        more_rows: Must be 0: the quantizer has no rows for labels and masks.
        row_dim: Width of the quantizer's vectors.
    """

    needs_rows = True

    def __init__(
        self, vocab_sizes: Sequence[int], dim: int, more_rows: int = 0, row_dim: int | None = None
    ) -> None:
        super().__init__()
        assert row_dim is not None and not more_rows
        self.num_sub_tokens = len(vocab_sizes)
        self.project = nn.Linear(row_dim, dim)

    def init_weights(self) -> None:
        """Do nothing: the linear layer keeps torch's weights."""

    def digit(self, i: int, values: Tensor, rows: Rows | None = None) -> Tensor:
        """Map values of sub-token i, int64 (B, T), to vectors (B, T, dim)."""
        assert rows is not None
        return self._projected(rows_of_digit(rows, i, values, self.num_sub_tokens))

    def forward(self, sub_indices: Tensor, rows: Rows | None = None) -> Tensor:
        """Map int64 (B, T, k) to the sum of the sub-tokens' vectors (B, T, dim); the layer's bias
        counts once for each, as in RQ-Transformer.
        """
        assert rows is not None
        return self._projected(rows(sub_indices)).sum(-2)

    def _projected(self, vectors: Tensor) -> Tensor:
        # Rows are float32, weights may be of a lower precision.
        return self.project(vectors.to(self.project.weight.dtype))


def rows_of_digit(rows: Rows, i: int, values: Tensor, count: int) -> Tensor:
    """Return the quantizer's vectors (B, T, d) of sub-token i of ``count``: values int64 (B, T)."""
    sub_indices = torch.zeros_like(values)[..., None].repeat(1, 1, count)
    sub_indices[..., i] = values
    return rows(sub_indices)[..., i, :]


EMBEDDINGS = dict(TokenEmbedding=TokenEmbedding, CodeEmbedding=CodeEmbedding)
