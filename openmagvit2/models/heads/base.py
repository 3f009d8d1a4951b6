"""What a head promises, and what all heads have: sub-token embeddings, the final norm,
classifiers.
"""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from openmagvit2.errors import UserError, check_choice
from openmagvit2.models.heads.embeddings import EMBEDDINGS, Rows
from openmagvit2.models.layers.kv_cache import LayerCache
from openmagvit2.signatures import Count, Fraction

# Logits (B or 2B, T, V_i) and the number i of a sub-token to int64 (B, T).
Draw = Callable[[Tensor, int], Tensor]
NORMS: dict[str | None, Callable[[int], nn.Module]] = {
    'rms_norm': lambda dim: nn.RMSNorm(dim, eps=1e-5),
    'layer_norm': nn.LayerNorm,
    None: lambda dim: nn.Identity(),
}


class Head(nn.Module):
    """Context vectors to distributions over sub-tokens, and sub-tokens to embeddings.

    A subclass implements :meth:`logits` and :meth:`sample`. ``joint = True`` says that it predicts
    the whole index: the generator then gives it the trivial factorization of one sub-token.

    Args:
        vocab_sizes: Sizes of the sub-vocabularies; set by the generator.
        dim: Width of the backbone.
        embedding: 'TokenEmbedding', 'CodeEmbedding', a class like them, or None where the generator
            embeds tokens in another way.
        more_rows: Rows of the first table behind those of the codes, for labels and masks.
        row_dim: Width of the quantizer's vectors, for 'CodeEmbedding'; set by the generator.
        norm: Before the classifiers: 'rms_norm', 'layer_norm' or None.
        bias: Whether the classifiers have biases.
        zero_init: Start from classifiers of zero, a uniform distribution, and not from normal ones
            of deviation 0.02.
        label_smoothing: Share of the target that is spread over all values, in training.

    Raises:
        UserError: The head is ``joint``, and there is more than one sub-vocabulary.
    """

    joint = False
    # Whether one classifier serves all sub-tokens, which then have one size.
    shared_classifier = False
    # What the tests of the slot's contract build a head with, beside their own.
    test_arguments: ClassVar[dict[str, Any]] = {}
    # One of the classes in `embeddings.py`, another like them, or None.
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
                f'model.head.vocab_sizes: {type(self).__name__} predicts one index, got '
                f'{list(vocab_sizes)}.'
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
        """Whether the methods want ``rows``, the quantizer's vectors of sub-tokens."""
        return self.embeddings is not None and self.embeddings.needs_rows

    def embed(self, sub_indices: Tensor, rows: Rows | None = None) -> Tensor:
        """Map int64 (B, T, k) to vectors (B, T, dim), the backbone's input.

        Raises:
            UserError: The head has no embedding, which next-scale generators alone do without.
        """
        if self.embeddings is None:
            raise UserError(
                'model.head.embedding is None, and this generator embeds the tokens before; leave '
                'it out.'
            )
        return self.embeddings(sub_indices, rows)

    def logits(
        self, context: Tensor, sub_indices: Tensor, rows: Rows | None = None
    ) -> list[Tensor]:
        """Map context (B, T, dim) and true sub-tokens (B, T, k) to logits (B, T, V_i) of each
        sub-token.
        """
        raise NotImplementedError

    def losses_per_token(
        self,
        context: Tensor,
        sub_indices: Tensor,
        targets: Tensor | None = None,
        rows: Rows | None = None,
    ) -> Tensor:
        """Return the cross-entropy in nats, float32 (B, T, k), with the sub-tokens or, where there
        are any, with the distributions ``targets`` (B, T, k, V).
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
            sub_indices: True sub-tokens, int64 (B, T, k).
            targets: Distributions (B, T, k, V) that take the place of the true sub-tokens in the
                loss, not in the input.
            rows: The quantizer's vectors, where the embedding needs them.
        """
        given: dict[str, Any] = dict(targets=targets, rows=rows)
        given = {name: value for name, value in given.items() if value is not None}
        means = self.losses_per_token(context, sub_indices, **given).mean((0, 1))
        return {f'sub_token_{i}': mean for i, mean in enumerate(means)}

    def new_cache(self) -> list[LayerCache] | None:
        """Return what :meth:`sample` may reuse from call to call; None where there is nothing to
        keep.
        """
        return None

    def sample(
        self,
        context: Tensor,
        draw: Draw,
        cache: list[LayerCache] | None = None,
        rows: Rows | None = None,
    ) -> Tensor:
        """Map the context of T >= 1 positions to sub-tokens int64 (B, T, k).

        Args:
            context: (B, T, dim), or with guidance (2B, T, dim): the conditional half first, then
                the null half.
            draw: Takes logits (B or 2B, T, V_i) and i, gives int64 (B, T); asked once for each
                sub-token, in order.
            cache: From :meth:`new_cache`, where that gives one; its memory is used again, its
                content is not.
            rows: The quantizer's vectors, where the embedding needs them.
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
        sub_indices: True sub-tokens, int64 (B, T, k).
        targets: Distributions (B, T, k, V) in their place.
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
