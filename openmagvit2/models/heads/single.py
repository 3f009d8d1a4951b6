"""One classifier over the whole codebook, which the paper calls impractical at 2^18 codes."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from openmagvit2.models.heads.chunked_cross_entropy import linear_cross_entropy
from openmagvit2.models.heads.embeddings import Rows
from openmagvit2.models.heads.separate import SeparateHead
from openmagvit2.registry import HEADS
from openmagvit2.signatures import Count


@HEADS.register_module()
class SingleHead(SeparateHead):
    """Predict the index itself; a cross-entropy over slices of the vocabulary, which never holds
    all logits in memory, makes 2^18 codes trainable.

    Args:
        vocab_sizes: A list of one size.
        dim: Width of the backbone.
        chunk_elements: Maximum number of logits in memory at a time.
        options: Other arguments of :class:`Head`.
    """

    joint = True

    def __init__(
        self,
        *,
        vocab_sizes: Sequence[int],
        dim: Count = 1024,
        chunk_elements: Count = 2**25,
        **options: Any,
    ) -> None:
        super().__init__(vocab_sizes=vocab_sizes, dim=dim, **options)
        self.chunk_elements = chunk_elements

    def losses_per_token(
        self,
        context: Tensor,
        sub_indices: Tensor,
        targets: Tensor | None = None,
        rows: Rows | None = None,
    ) -> Tensor:
        """Return the cross-entropy in nats, float32 (B, T, 1).

        It is computed over slices of the vocabulary, which the backward pass recomputes. Targets
        that are distributions are as large as the logits, so they use the plain cross-entropy.
        """
        classifier = self.classifiers[0]
        smooth = self.training and self.label_smoothing > 0
        if targets is not None or classifier.bias is not None or smooth:
            return super().losses_per_token(context, sub_indices, targets, rows)
        x, target = self.norm(context).flatten(0, 1), sub_indices.flatten()
        losses = linear_cross_entropy(x, classifier.weight, target, self.chunk_elements)
        return losses.view(sub_indices.shape)
