"""Contract of the head slot, and the parts of all heads: sub-token embeddings, final norm and
classifiers.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from openmagvit2.errors import UserError, check_choice
from openmagvit2.models.heads.embeddings import EMBEDDINGS, Rows
from openmagvit2.models.layers.kv_cache import LayerCache
from openmagvit2.signatures import Count, Fraction

# Maps logits (B or 2B, T, V_i) and the number i of a sub-token to int64 (B, T).
Draw = Callable[[Tensor, int], Tensor]
NORMS: dict[str | None, Callable[[int], nn.Module]] = {
    'rms_norm': lambda dim: nn.RMSNorm(dim, eps=1e-5),
    'layer_norm': nn.LayerNorm,
    None: lambda dim: nn.Identity(),
}


class Head(nn.Module):
    """Map context vectors to distributions over sub-tokens, and sub-tokens to embeddings.

    A subclass implements :meth:`logits` and :meth:`sample`. A subclass that predicts whole tokens
    sets ``joint = True``; the generator then uses one sub-token per token.

    Args:
        vocab_sizes: Sizes of the sub-vocabularies; set by the generator.
        dim: Width of the backbone.
        embedding: 'TokenEmbedding', 'CodeEmbedding', a class like these, or None if the generator
            does not embed tokens with the head.
        more_rows: Number of rows of the first table after those of the codes, for labels and masks.
        row_dim: Width of the quantizer's vectors, for 'CodeEmbedding'; set by the generator.
        norm: Norm before the classifiers: 'rms_norm', 'layer_norm' or None.
        bias: Whether the classifiers have biases.
        zero_init: Initialize the classifiers with zeros, for a uniform distribution, instead of
            N(0, 0.02^2).
        label_smoothing: Label smoothing in training.

    Raises:
        UserError: The head is ``joint``, and there is more than one sub-vocabulary.
    """

    joint = False
    # Whether all sub-tokens, then of one vocabulary size, share a classifier.
    shared_classifier = False
    # A class of `embeddings.py`, a class like these, or None.
    embeddings: Any

    def __init__(
        self,
        vocab_sizes: Sequence[int],
        dim: Count,
        embedding: str | Callable[..., nn.Module] | None = 'TokenEmbedding',
        more_rows: int = 0,
        row_dim: Count | None = None,
        norm: str | None = 'rms_norm',
        bias: bool = False,
        zero_init: bool = True,
        label_smoothing: Fraction = 0.0,
    ) -> None:
        if self.joint and len(vocab_sizes) != 1:
            raise UserError(
                f'model.head.vocab_sizes: {type(self).__name__} does not factorize tokens and '
                f'needs one size, got {list(vocab_sizes)}.'
            )
        super().__init__()
        self.vocab_sizes, self.label_smoothing = list(vocab_sizes), label_smoothing
        check_choice('model.head.norm', norm, NORMS)
        self.embeddings = None
        if embedding is not None:
            part = EMBEDDINGS.get(embedding) if isinstance(embedding, str) else embedding
            if not callable(part):
                raise UserError(
                    f'model.head.embedding must be one of {", ".join(EMBEDDINGS)} or None, got '
                    f'{embedding!r}.'
                )
            self.embeddings = part(self.vocab_sizes, dim, more_rows=more_rows, row_dim=row_dim)
        self.norm = NORMS[norm](dim)
        sizes = self.vocab_sizes[:1] if self.shared_classifier else self.vocab_sizes
        classifiers = [nn.Linear(dim, size, bias=bias) for size in sizes]
        self.classifiers = nn.ModuleList(classifiers)
        if self.embeddings is not None:
            self.embeddings.init_weights()
        for classifier in classifiers:
            if zero_init:
                nn.init.zeros_(classifier.weight)
            else:
                nn.init.normal_(classifier.weight, 0.0, 0.02)
            if bias:
                nn.init.zeros_(classifier.bias)

    @property
    def needs_rows(self) -> bool:
        """Whether the methods need ``rows``, which maps sub-tokens to the quantizer's vectors."""
        return self.embeddings is not None and self.embeddings.needs_rows

    def embed(self, sub_indices: Tensor, rows: Rows | None = None) -> Tensor:
        """Map int64 (B, T, k) to vectors (B, T, dim), the backbone's input.

        Raises:
            UserError: The head has no embedding; only next-scale generators need none.
        """
        if self.embeddings is None:
            raise UserError(
                'model.head.embedding is None, but this generator embeds the previous tokens; '
                'remove the key.'
            )
        return self.embeddings(sub_indices, rows)

    def logits(
        self, context: Tensor, sub_indices: Tensor, rows: Rows | None = None
    ) -> list[Tensor]:
        """Map context (B, T, dim) and ground-truth sub-tokens (B, T, k) to logits (B, T, V_i) of
        each sub-token.
        """
        raise NotImplementedError

    def losses_per_token(
        self,
        context: Tensor,
        sub_indices: Tensor,
        targets: Tensor | None = None,
        rows: Rows | None = None,
    ) -> Tensor:
        """Return the cross-entropy in nats, float32 (B, T, k), of the sub-tokens or, if given, of
        the distributions ``targets`` (B, T, k, V).
        """
        given = dict(rows=rows) if rows is not None else {}
        smoothing = self.label_smoothing if self.training and targets is None else 0.0
        logits = self.logits(context, sub_indices, **given)
        return cross_entropies(logits, sub_indices, targets, smoothing)

    def loss(
        self,
        context: Tensor,
        sub_indices: Tensor,
        targets: Tensor | None = None,
        rows: Rows | None = None,
    ) -> dict[str, Tensor]:
        """Return the mean cross-entropy in nats of each sub-token, by name; their sum is the
        training loss.

        Args:
            context: (B, T, dim).
            sub_indices: Ground-truth sub-tokens, int64 (B, T, k).
            targets: Distributions (B, T, k, V) that replace the ground truth in the loss, not in
                the input.
            rows: Maps sub-tokens to the quantizer's vectors, if the embedding needs it.
        """
        given: dict[str, Any] = dict(targets=targets, rows=rows)
        given = {name: value for name, value in given.items() if value is not None}
        means = self.losses_per_token(context, sub_indices, **given).mean((0, 1))
        return {f'sub_token_{i}': mean for i, mean in enumerate(means)}

    def new_cache(self) -> list[LayerCache] | None:
        """Return a KV cache that calls of :meth:`sample` can share; None if the head uses none."""
        return None

    def sample(
        self,
        context: Tensor,
        draw: Draw,
        cache: list[LayerCache] | None = None,
        rows: Rows | None = None,
    ) -> Tensor:
        """Sample the sub-tokens int64 (B, T, k) of T >= 1 positions.

        Args:
            context: (B, T, dim), or with guidance (2B, T, dim), unconditional half last.
            draw: Maps logits (B or 2B, T, V_i) and i to int64 (B, T); called once for each
                sub-token, in order.
            cache: Result of :meth:`new_cache`; its memory is reused, its content is not.
            rows: Maps sub-tokens to the quantizer's vectors, if the embedding needs it.
        """
        raise NotImplementedError


def cross_entropies(
    logits: Sequence[Tensor],
    sub_indices: Tensor,
    targets: Tensor | None = None,
    label_smoothing: float = 0.0,
) -> Tensor:
    """Return the cross-entropy of each sub-token in nats, float32 (B, T, k).

    Args:
        logits: (B, T, V_i) of each sub-token.
        sub_indices: Ground-truth sub-tokens, int64 (B, T, k).
        targets: Distributions (B, T, k, V) that replace the ground truth.
        label_smoothing: See :class:`Head`.
    """
    losses = []
    for i, x in enumerate(logits):
        target = sub_indices[..., i].flatten()
        if targets is not None:
            target = targets[..., i, : x.shape[-1]].flatten(0, -2).float()
        loss = F.cross_entropy(
            x.float().flatten(0, -2), target, reduction='none', label_smoothing=label_smoothing
        )
        losses.append(loss.view(sub_indices.shape[:-1]))
    return torch.stack(losses, -1)
