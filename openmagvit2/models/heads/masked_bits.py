"""Masked bits: predict the bits of a token in a few steps, whatever the size of the codebook."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from openmagvit2.errors import UserError
from openmagvit2.models.heads.base import Draw, Head, cross_entropies
from openmagvit2.models.heads.embeddings import Rows
from openmagvit2.models.layers.init import init_normal
from openmagvit2.models.layers.kv_cache import LayerCache
from openmagvit2.registry import HEADS
from openmagvit2.signatures import Count, Fraction


@HEADS.register_module()
class MaskedBitHead(Head):
    """Predict the masked sub-tokens of a token from its context and its other sub-tokens.

    Meant for a factorization into single bits, ``bits=[1] * n``: tables and classifiers then have
    2 n rows instead of the codebook's 2^n. In training, a random subset of random size is masked,
    so that the mean loss bounds the negative log-likelihood of a token in random order from above.
    In sampling and for likelihoods, sub-tokens are filled in the order of the factorization in
    ``steps`` groups of growing size (cosine schedule); those of a group are predicted
    independently.

    Args:
        vocab_sizes: Sizes of the sub-vocabularies; set by the generator.
        dim: Width of the backbone.
        num_layers: Number of residual blocks.
        steps: Number of groups, at most one per sub-token; with one per sub-token, no independence
            is assumed.
        dropout: Dropout rate in the blocks.
        options: Other arguments of :class:`Head`.

    Raises:
        UserError: There is no embedding.
    """

    def __init__(
        self,
        *,
        vocab_sizes: Sequence[int],
        dim: Count = 1024,
        num_layers: int = 3,
        steps: Count = 4,
        dropout: Fraction = 0.1,
        **options: Any,
    ) -> None:
        super().__init__(vocab_sizes, dim, **options)
        if self.embeddings is None:
            raise UserError('model.head.embedding must not be None: the head embeds sub-tokens.')
        self.groups = grouped(len(self.vocab_sizes), steps)
        self.masks = nn.Parameter(torch.zeros(len(self.vocab_sizes), dim))
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(dim), nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim),
                nn.Dropout(dropout),
            )
            for _ in range(num_layers)
        )  # fmt: skip
        self.blocks.apply(init_normal)

    def logits(
        self, context: Tensor, sub_indices: Tensor, rows: Rows | None = None
    ) -> list[Tensor]:
        """See :meth:`Head.logits`; each group depends on the previous ones."""
        found: list[Tensor] = []
        for group in self.groups:
            known = list(sub_indices.unbind(-1))[: group[0]]
            found += self._predicted(context, known, group, rows)
        return found

    def loss(
        self,
        context: Tensor,
        sub_indices: Tensor,
        targets: Tensor | None = None,
        rows: Rows | None = None,
    ) -> dict[str, Tensor]:
        """See :meth:`Head.loss`; in training, a single loss ``sub_tokens`` with random masks."""
        if not self.training or targets is not None:
            return super().loss(context, sub_indices, targets, rows)
        count = len(self.vocab_sizes)
        # The number of masked sub-tokens is uniform from 1 to all.
        number = torch.randint(1, count + 1, sub_indices.shape[:-1], device=context.device)
        places = torch.rand(sub_indices.shape, device=context.device).argsort(-1).argsort(-1)
        masked = places < number[..., None]
        x = context
        for i, values in enumerate(sub_indices.unbind(-1)):
            vector = self.embeddings.digit(i, values, rows)
            x = x + torch.where(masked[..., i, None], self.masks[i].to(vector.dtype), vector)
        x = self._features(x)
        losses = cross_entropies([classifier(x) for classifier in self.classifiers], sub_indices)
        of_masked = (losses * masked).sum(-1)
        return dict(sub_tokens=(of_masked * count / number).mean())

    def sample(
        self,
        context: Tensor,
        draw: Draw,
        cache: list[LayerCache] | None = None,
        rows: Rows | None = None,
    ) -> Tensor:
        """Sample int64 (B, T, k), one group of bits in each step; see :meth:`Head.sample`."""
        drawn: list[Tensor] = []
        for group in self.groups:
            logits = self._predicted(context, drawn, group, rows)
            drawn += [draw(values, i) for i, values in zip(group, logits, strict=True)]
        return torch.stack(drawn, -1)

    def _predicted(
        self, context: Tensor, known: Sequence[Tensor], group: range, rows: Rows | None
    ) -> list[Tensor]:
        """Return the logits of a group from the previous sub-tokens, int64 (B, T) each; with
        guidance, both halves of the context (2B, T, dim) share them.
        """
        x = context + self.masks[group[0] :].sum(0)
        for i, values in enumerate(known):
            vector = self.embeddings.digit(i, values, rows)
            x = x + vector.repeat(len(context) // len(vector), 1, 1)
        x = self._features(x)
        return [self.classifiers[i](x) for i in group]

    def _features(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = x + block(x)
        return self.norm(x)


def grouped(count: int, steps: int) -> list[range]:
    """Split ``count`` sub-tokens into groups of at least one, with sizes from a cosine schedule."""
    steps = min(steps, count)
    ends = [0]
    for step in range(1, steps + 1):
        filled = count - math.ceil(count * math.cos(math.pi / 2 * step / steps) - 1e-9)
        ends.append(max(ends[-1] + 1, min(filled, count - steps + step)))
    return [range(a, b) for a, b in zip(ends, ends[1:], strict=False)]
