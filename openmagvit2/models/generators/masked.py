"""Masked token prediction: a few steps unmask all tokens, many at a time (MaskGIT)."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from openmagvit2.errors import UserError, check_choice
from openmagvit2.models.conditioners.labels import Labels
from openmagvit2.models.generators.base import BaseGenerator
from openmagvit2.models.generators.sampling import Settings, keeps_a_cpu_busy
from openmagvit2.models.layers.masks import with_prefix
from openmagvit2.models.samplers import SubTokenSampler
from openmagvit2.models.samplers.decode import Finite
from openmagvit2.models.samplers.masked import MaskedSampler, masked_share
from openmagvit2.registry import MODELS
from openmagvit2.signatures import Weight

# Ratios of masked tokens in validation, and the seed of its masks.
LEVELS = (0.125, 0.375, 0.625, 0.875)
SEED = 0
# How to round the number of masked tokens.
ROUNDINGS: dict[str, Callable[[Tensor], Tensor]] = dict(floor=torch.floor, round=torch.round)


@MODELS.register_module()
class MaskedGenerator(BaseGenerator):
    """Bidirectional transformer that predicts masked tokens from visible ones and the condition.

    The mask token is the last row of the first table of the head's embedding;
    ``model.head.more_rows`` reserves it.

    Args:
        mask_schedule: Ratio of masked tokens in training as a function of a uniform number r; see
            :func:`masked_share`.
        mask_rounding: How to round the number of masked tokens: 'floor' or 'round'.
        visible_weight: Loss weight of tokens that are not masked; masked tokens have weight 1.
        average: 'image': average losses over the tokens of each image, then over images; 'batch':
            average over all tokens of a (micro-)batch.
        parts: Arguments of :class:`Assembly`.

    Raises:
        UserError: The parts do not fit each other.
    """

    default_order = 'Masked'

    def __init__(
        self,
        *,
        mask_schedule: str = 'cosine',
        mask_rounding: str = 'floor',
        visible_weight: Weight = 0.0,
        average: str = 'image',
        **parts: Any,
    ) -> None:
        super().__init__(**parts)
        check_choice('model.mask_rounding', mask_rounding, ROUNDINGS)
        check_choice('model.average', average, ('image', 'batch'))
        self.mask_schedule, self.mask_rounding = mask_schedule, mask_rounding
        self.visible_weight, self.average = visible_weight, average
        masked_share(np.full(1, 0.5, np.float32), mask_schedule, self.num_tokens)

    def check_parts(self) -> None:
        """See :meth:`BaseGenerator.check_parts`.

        Raises:
            UserError: The backbone is causal without ``groups``, or the head has no row for the
                mask token.
        """
        super().check_parts()
        if self.backbone.causal and 'groups' not in self.backbone.supports:
            raise UserError(
                f'model.backbone: {type(self.backbone).__name__} only attends to earlier tokens; a '
                f'masked generator needs one that supports `groups`, or Bert.'
            )
        labels = self.conditioner.more_rows
        rows = len(self._table()) - self.head.vocab_sizes[0]
        if rows <= labels:
            raise UserError(
                f'model.head.more_rows must be at least {labels + 1} ({labels} for labels and one '
                f'for the mask), got {rows}.'
            )

    def _table(self) -> Tensor:
        """Return the first table (V_0 + more_rows, dim); its last row is the mask token."""
        table = (
            next(iter(self.head.embeddings.parameters()), None) if self.head.embeddings else None
        )
        if table is None or self.head.needs_rows:
            raise UserError('model.head.embedding: a masked generator needs a token embedding.')
        return table

    # ---- training --------------------------------------------------------------------------------
    @property
    def num_draws(self) -> int:
        """One number for the mask ratio and one for each token."""
        return 1 + self.num_tokens

    def masks(self, draws: Tensor) -> Tensor:
        """Map uniform numbers (B, 1 + T) to masks, bool (B, T), with at least one masked token."""
        share = masked_share(draws[:, :1], self.mask_schedule, self.num_tokens)
        counts = ROUNDINGS[self.mask_rounding](share * self.num_tokens).clamp_min(1)
        return draws[:, 1:].argsort(1).argsort(1) < counts

    def context(self, sub_indices: Tensor, condition: dict[str, Tensor], masked: Tensor) -> Tensor:
        """Return the context vectors (B, T, dim), each of which predicts the token at its position.

        Args:
            sub_indices: int64 (B, T, k); the values of masked tokens are ignored.
            condition: Data of the conditioner.
            masked: bool (B, T).
        """
        prefix, given = self.embed(condition)
        tokens = self.head.embed(sub_indices)
        tokens = torch.where(masked[..., None], self._table()[-1].to(tokens.dtype), tokens)
        x = torch.cat([prefix, tokens], 1)
        if 'groups' in self.backbone.supports:
            given['groups'] = with_prefix(self.order.groups, prefix.shape[1])
        x = F.dropout(x, self.input_dropout, self.backbone.training)
        return self.backbone(x, **given)[:, prefix.shape[1] :]

    def forward(
        self, sub_indices: Tensor, condition: dict[str, Tensor], masked: Tensor
    ) -> list[Tensor]:
        """Return logits (B, T, V_i) of each sub-token; see :meth:`context`."""
        return self.head.logits(self.context(sub_indices, condition, masked), sub_indices)

    def teacher(self, batch: int, iteration: int, draws: Tensor | None) -> dict[str, Any]:
        """See :meth:`BaseGenerator.teacher`: the mask."""
        assert draws is not None
        return dict(masked=self.masks(draws))

    def losses(
        self,
        sub_indices: Tensor,
        condition: dict[str, Tensor],
        masked: Tensor | None = None,
        targets: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """See :meth:`Assembly.losses`: the weighted mean over tokens. ``masked`` is bool (B, T); by
        default all tokens are masked.
        """
        if masked is None:
            masked = torch.ones_like(sub_indices[..., 0], dtype=torch.bool)
        context = self.context(sub_indices, condition, masked)
        given: dict[str, Any] = {} if targets is None else dict(targets=targets)
        losses = self.head.losses_per_token(context, sub_indices, **given)
        weights = masked + self.visible_weight * ~masked
        if self.average == 'batch':
            means = (losses * weights[..., None]).sum((0, 1)) / weights.sum()
        else:
            share = weights / weights.sum(1, keepdim=True)
            means = (losses * share[..., None]).sum(1).mean(0)
        return {f'sub_token_{i}': mean for i, mean in enumerate(means)}

    def nll(self, sub_indices: Tensor, condition: dict[str, Tensor]) -> Tensor:
        """Estimate an upper bound of the negative log-likelihood of each image, in nats (B,).

        The mean over n = 1 … T of (T / n) times the loss of n masked tokens bounds it, whatever the
        order of unmasking. It is evaluated at a few n, with the same masks for all images.
        """
        scores = np.random.default_rng(SEED).random((len(LEVELS), self.num_tokens))
        bounds = []
        for level, score in zip(LEVELS, scores, strict=True):
            count = max(round(level * self.num_tokens), 1)
            lowest = torch.from_numpy(score.argsort().argsort() < count)
            masked = lowest.to(sub_indices.device).expand(len(sub_indices), -1)
            context = self.context(sub_indices, condition, masked)
            losses = self.head.losses_per_token(context, sub_indices).sum(2)
            bounds.append((losses * masked).sum(1) * self.num_tokens / count)
        return torch.stack(bounds).mean(0)

    # ---- sampling --------------------------------------------------------------------------------
    def check(
        self,
        labels: Labels,
        sampling: Settings = None,
        seed: int = 0,
        once: bool = False,
    ) -> MaskedSampler:
        """See :meth:`Sampling.check`; settings are those of :class:`MaskedSampler`.

        Raises:
            UserError: The sampler is not a :class:`MaskedSampler`, or it has more steps than there
                are tokens (each step unmasks at least one).
        """
        if not callable(sampling):
            sampling = dict(type='MaskedSampler') | (sampling or {})
        sampler = super().check(labels, sampling, seed, once)
        if not isinstance(sampler, MaskedSampler):
            raise UserError(
                f'sampling.type: a masked generator needs MaskedSampler or a subclass, got '
                f'{type(sampler).__name__}.'
            )
        if sampler.steps > self.num_tokens:
            raise UserError(
                f'sampling.steps={sampler.steps} exceeds the {self.num_tokens} tokens of an image, '
                f'of which each step unmasks at least one; use fewer steps.'
            )
        return sampler

    @property
    def one_by_one(self) -> bool:
        """See :attr:`Sampling.one_by_one`; a pass processes many tokens of each image."""
        return keeps_a_cpu_busy(self.backbone)

    def draw_shape(self, sampler: SubTokenSampler) -> tuple[int, ...]:
        """Return (steps, T, k + 1): numbers for the k sub-tokens and for the confidence noise."""
        assert isinstance(sampler, MaskedSampler)
        return sampler.steps, self.num_tokens, len(self.head.vocab_sizes) + 1

    def decode(
        self, condition: dict[str, Tensor], sampler: SubTokenSampler, random: Tensor
    ) -> Tensor:
        """Sample int64 (B, T, k): the tokens after the last step of :meth:`decode_steps`."""
        assert isinstance(sampler, MaskedSampler)
        return self.decode_steps(condition, sampler, random)[-1]

    def decode_steps(
        self, condition: dict[str, Tensor], sampler: MaskedSampler, random: Tensor
    ) -> list[Tensor]:
        """Return the tokens after each step, int64 (B, T, k); the last are the sample."""
        batch, tokens, k = len(random), self.num_tokens, len(self.head.vocab_sizes)
        sub_indices = torch.zeros(batch, tokens, k, dtype=torch.int64, device=random.device)
        unknown = torch.ones(batch, tokens, dtype=torch.bool, device=random.device)
        halves = len(next(iter(condition.values()))) // batch
        finite, steps = Finite(random.device), []
        for step in range(sampler.steps):
            context = self.context(
                sub_indices.repeat(halves, 1, 1), condition, unknown.repeat(halves, 1)
            )
            confidence = torch.zeros(batch, tokens, device=random.device)

            def draw(logits: Tensor, i: int, step: int = step, sure: Tensor = confidence) -> Tensor:
                """Draw sub-token ``i``, int64 (B, T), and add its confidence to ``sure``."""
                finite.look(logits)
                drawn, own = sampler.drawn(logits, i, random[:, step, :, i], step)
                sure.add_(own)
                return drawn

            drawn = self.head.sample(context, draw)
            sub_indices = torch.where(unknown[..., None], drawn, sub_indices)
            steps.append(sub_indices)
            unknown = sampler.remask(confidence, unknown, random[:, step, :, k], step)
        finite.check()
        return steps
