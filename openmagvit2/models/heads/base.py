"""What a head promises, and what all heads have: sub-token embeddings, the final norm,
classifiers.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from openmagvit2.models.layers.kv_cache import LayerCache
from openmagvit2.models.layers.transformer_block import RMSNorm


class Head(nn.Module):
    """Context vectors to distributions over sub-tokens, and sub-tokens to embeddings.

    A subclass implements :meth:`logits` and :meth:`sample`. ``joint = True`` says that it predicts
    the whole index: the generator then gives it the trivial factorization of one sub-token.

    Args:
        vocab_sizes: Sizes of the sub-vocabularies; the factorization's by default of the generator.
        dim: The backbone's.
    """

    joint = False

    def __init__(self, vocab_sizes: Sequence[int], dim: int) -> None:
        super().__init__()
        self.vocab_sizes = list(vocab_sizes)
        self.embeddings = nn.ModuleList(nn.Embedding(size, dim) for size in self.vocab_sizes)
        self.norm = RMSNorm(dim)
        self.classifiers = nn.ModuleList(
            nn.Linear(dim, size, bias=False) for size in self.vocab_sizes
        )
        for table in self.embeddings:
            nn.init.normal_(table.weight, 0.0, 0.02)
        # Zero: a fresh model predicts the uniform distribution (spec §4.4).
        for classifier in self.classifiers:
            nn.init.zeros_(classifier.weight)

    def embed(self, sub_indices: Tensor) -> Tensor:
        """int64 (B, T, k) to the sum of the sub-tokens' embeddings (B, T, dim)."""
        return sum(table(sub_indices[..., i]) for i, table in enumerate(self.embeddings))

    def logits(self, context: Tensor, sub_indices: Tensor) -> list[Tensor]:
        """Context (B, T, dim) and true sub-tokens (B, T, k) to logits (B, T, V_i) of each
        sub-token.
        """
        raise NotImplementedError

    def losses_per_token(self, context: Tensor, sub_indices: Tensor) -> Tensor:
        """Cross-entropy in nats, float32 (B, T, k)."""
        logits = self.logits(context, sub_indices)
        return torch.stack(
            [_cross_entropy(x, sub_indices[..., i]) for i, x in enumerate(logits)], -1
        )

    def loss(self, context: Tensor, sub_indices: Tensor) -> dict[str, Tensor]:
        """Mean cross-entropy in nats of each sub-token, by name; their sum is the training loss."""
        means = self.losses_per_token(context, sub_indices).mean((0, 1))
        return {f'sub_token_{i}': mean for i, mean in enumerate(means)}

    def new_cache(self) -> list[LayerCache] | None:
        """What :meth:`sample` may reuse from position to position; None where there is nothing to
        keep.
        """
        return None

    def sample(
        self,
        context: Tensor,
        sampler: Callable[[Tensor, int], Tensor],
        cache: list[LayerCache] | None = None,
    ) -> Tensor:
        """Context (B, dim) of one position to sub-tokens int64 (B, k).

        Args:
            context: (B, dim), or with guidance (2B, dim): the conditional half first, then the null
                half.
            sampler: Takes logits (B or 2B, V_i) and i, gives int64 (B,); asked once for each
                sub-token, in order.
            cache: From :meth:`new_cache`; its memory is used again, its content is not.
        """
        raise NotImplementedError


def _cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(logits.float().flatten(0, -2), target.flatten(), reduction='none').view(
        target.shape
    )
