"""Embeddings of sub-tokens: the part of a head that makes the backbone's input."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from openmagvit2.models.layers.init import init_normal

# Maps sub-tokens int64 (B, T, k) to the quantizer's vectors (B, T, k, d).
Rows = Callable[[Tensor], Tensor]


class TokenEmbedding(nn.ModuleList):
    """Embed each sub-token with a learned table of its own.

    Args:
        vocab_sizes: Sizes of the sub-vocabularies.
        dim: Width of the backbone.
        more_rows: Number of rows of the first table after those of the codes, for labels and masks.
        row_dim: Unused; see :class:`CodeEmbedding`.
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
        """Initialize the tables from N(0, 0.02^2)."""
        self.apply(init_normal)

    def digit(self, i: int, values: Tensor, rows: Rows | None = None) -> Tensor:
        """Map values of sub-token i, int64 (...), to vectors (..., dim)."""
        return self[i](values)

    def forward(self, sub_indices: Tensor, rows: Rows | None = None) -> Tensor:
        """Map int64 (B, T, k) to the sum of the sub-tokens' vectors (B, T, dim)."""
        first, *others = [self.digit(i, x) for i, x in enumerate(sub_indices.unbind(-1))]
        return sum(others, first)


class CodeEmbedding(nn.Module):
    """Embed sub-tokens with the quantizer's vectors and a linear layer that all sub-tokens share.

    The frozen vectors belong to the quantizer: each call receives them as ``rows``, and they are
    not in the state dict. The factorization must have one sub-token per codebook.

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
        """Do nothing: the linear layer keeps torch's initialization."""

    def digit(self, i: int, values: Tensor, rows: Rows | None = None) -> Tensor:
        """Map values of sub-token i, int64 (B, T), to vectors (B, T, dim)."""
        assert rows is not None
        return self._projected(rows_of_digit(rows, i, values, self.num_sub_tokens))

    def forward(self, sub_indices: Tensor, rows: Rows | None = None) -> Tensor:
        """Map int64 (B, T, k) to the sum of the sub-tokens' vectors (B, T, dim); the bias is added
        once per sub-token, as in RQ-Transformer.
        """
        assert rows is not None
        return self._projected(rows(sub_indices)).sum(-2)

    def _projected(self, vectors: Tensor) -> Tensor:
        # Rows are float32; weights may have a lower precision.
        return self.project(vectors.to(self.project.weight.dtype))


def rows_of_digit(rows: Rows, i: int, values: Tensor, count: int) -> Tensor:
    """Map values int64 (B, T) of sub-token i of ``count`` to the quantizer's vectors (B, T, d)."""
    sub_indices = torch.zeros_like(values)[..., None].repeat(1, 1, count)
    sub_indices[..., i] = values
    return rows(sub_indices)[..., i, :]


EMBEDDINGS = dict(TokenEmbedding=TokenEmbedding, CodeEmbedding=CodeEmbedding)
