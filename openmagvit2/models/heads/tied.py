"""Logits from the table that embeds the tokens: BERT's masked-token head (MaskGIT)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from openmagvit2.models.heads.embeddings import Rows
from openmagvit2.models.heads.separate import SeparateHead
from openmagvit2.models.layers.init import init_truncated
from openmagvit2.registry import HEADS
from openmagvit2.signatures import Count, Fraction


@HEADS.register_module()
class TiedHead(SeparateHead):
    """Compute logits as ``norm(gelu(dense(x))) @ table.T + bias`` with the token embedding table.

    In training, the distribution is over all rows, labels and mask included, as in MaskGIT; for
    likelihoods and sampling, it is over the codes only.

    Args:
        vocab_sizes: A list of one size.
        dim: Width of the backbone.
        more_rows: Number of rows after those of the codes, for labels (if tokens) and the mask.
        label_smoothing: Label smoothing over all rows, in training.
    """

    joint = True

    def __init__(
        self,
        *,
        vocab_sizes: Sequence[int],
        dim: Count = 768,
        more_rows: int = 1,
        label_smoothing: Fraction = 0.1,
    ) -> None:
        super().__init__(
            vocab_sizes=vocab_sizes,
            dim=dim,
            more_rows=more_rows,
            norm=None,
            label_smoothing=label_smoothing,
        )
        # The embedding table is the classifier; the norm is BERT's.
        self.classifiers = nn.ModuleList()
        self.dense = nn.Linear(dim, dim)
        self.norm = nn.LayerNorm(dim, eps=1e-12)
        self.bias = nn.Parameter(torch.zeros(vocab_sizes[0] + more_rows))
        self.apply(init_truncated)

    def all_logits(self, context: Tensor) -> Tensor:
        """Map context (B, T, dim) to logits (B, T, V + more_rows) of all rows of the table."""
        x = self.norm(F.gelu(self.dense(context), approximate='tanh'))
        return F.linear(x, self.embeddings[0].weight, self.bias)

    def logits(
        self, context: Tensor, sub_indices: Tensor | None = None, rows: Rows | None = None
    ) -> list[Tensor]:
        """Map context (B, T, dim) to a list of one (B, T, V); ``sub_indices`` are ignored."""
        return [self.all_logits(context)[..., : self.vocab_sizes[0]]]

    def losses_per_token(
        self,
        context: Tensor,
        sub_indices: Tensor,
        targets: Tensor | None = None,
        rows: Rows | None = None,
    ) -> Tensor:
        """Return the cross-entropy in nats, float32 (B, T, 1): with label smoothing over all rows
        in training, else over the codes.
        """
        if not self.training or targets is not None:
            return super().losses_per_token(context, sub_indices, targets)
        logits = self.all_logits(context).float().transpose(1, 2)
        return F.cross_entropy(
            logits, sub_indices[..., 0], reduction='none', label_smoothing=self.label_smoothing
        )[..., None]
