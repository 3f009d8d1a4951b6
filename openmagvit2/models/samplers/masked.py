"""Decode masked tokens in a few steps, most confident first (MaskGIT, Chang et al. 2022)."""

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from openmagvit2.errors import UserError, check_choice
from openmagvit2.models.samplers.sub_token import LEAST_TEMPERATURE, SubTokenSampler
from openmagvit2.registry import SAMPLERS
from openmagvit2.signatures import Count

# Lower bound of the mask ratio of all schedules.
LEAST_RATIO = 1e-6


def masked_share(ratio: Any, schedule: str, tokens: int) -> Any:
    """Return the ratio of masked tokens as a function of the progress r of decoding.

    Computed in float32, like the official samples (docs/reference/specification.md, MaskGIT): at
    r = 2/3 the cosine is just below 1/2, so 127 of 256 tokens stay masked, not 128.

    Args:
        ratio: Progress r from 0 to 1: a float32 tensor or array.
        schedule: 'cosine': cos(pi r / 2); 'arccos': 2 arccos(r) / pi (TiTok); 'uniform': 1 - r;
            'pow2' (or another power): 1 - r^2; 'log': -log2(r) / log2(tokens); 'exp':
            1 - 2^(-(1 - r) log2(tokens)).
        tokens: Number of tokens of an image.

    Returns:
        Mask ratios of the same shape and type.

    Raises:
        UserError: The schedule is unknown.
    """
    r, bits = ratio, math.log2(tokens)
    library: Any = torch if isinstance(ratio, Tensor) else np
    if schedule == 'cosine':
        share = library.cos(math.pi / 2 * r)
    elif schedule == 'arccos':
        share = library.arccos(r) / (math.pi / 2)
    elif schedule == 'uniform':
        share = 1 - r
    elif re.fullmatch(r'pow\d+(\.\d+)?', schedule):
        share = 1 - r ** float(schedule[3:])
    elif schedule == 'log':
        share = -library.log2(library.clip(r, 1e-30, 1.0)) / bits
    elif schedule == 'exp':
        share = 1 - library.exp2(-bits * (1 - r))
    else:
        raise UserError(
            f"mask_schedule must be 'cosine', 'arccos', 'uniform', 'pow2' (or another power), "
            f"'log' or 'exp', got {schedule!r}."
        )
    return library.clip(share, LEAST_RATIO, 1.0)


@SAMPLERS.register_module()
class MaskedSampler(SubTokenSampler):
    """Draw all masked tokens at each step, and mask the least confident ones again.

    Args:
        steps: Number of decoding steps; 8 in the paper, 16 in the official code.
        choice_temperature: Scale of the Gumbel noise on the confidence; falls linearly to 0 at the
            last step. 0 disables the noise.
        mask_schedule: How many tokens stay masked; see :func:`masked_share`.
        confidence: Confidence of a drawn token, to which the noise is added: its 'log_probability'
            (MaskGIT) or 'logit' (TiTok), before temperature and filters.
        noisy_draws: Draw tokens at ``temperature`` times the scale of the noise, so greedily at the
            last step (TiTok), instead of at ``temperature`` in all steps.
        annealing: Divisor of the logits after guidance, for draws and confidence: it changes
            linearly over the steps, from about the first value to the second at the last step.
        settings: Arguments of :class:`SubTokenSampler`: guidance, temperature, filters.

    Raises:
        UserError: A setting is out of range; the message names it.
    """

    def __init__(
        self,
        *,
        steps: Count = 8,
        choice_temperature: float = 4.5,
        mask_schedule: str = 'cosine',
        confidence: str = 'log_probability',
        noisy_draws: bool = False,
        annealing: Sequence[float] = (1.0, 1.0),
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        if not 0 <= choice_temperature < math.inf:
            raise UserError(
                f'sampling.choice_temperature must be at least 0, got {choice_temperature!r}.'
            )
        masked_share(np.full(1, 0.5, np.float32), mask_schedule, 2)
        self.steps, self.choice_temperature = steps, choice_temperature
        self.mask_schedule, self.noisy_draws = mask_schedule, noisy_draws
        check_choice('sampling.confidence', confidence, ('log_probability', 'logit'))
        if len(annealing) != 2 or not all(0 < x < math.inf for x in annealing):
            raise UserError(
                f'sampling.annealing must be two positive finite numbers, got {annealing!r}.'
            )
        self.confidence, self.annealing = confidence, tuple(annealing)

    def noise(self, step: int) -> float:
        """Return the scale of the Gumbel noise at a step, counted from 0."""
        return self.choice_temperature * self._left(step)

    def _left(self, step: int) -> float:
        """Return the fraction of steps left after a step, in float32 like :func:`masked_share`."""
        return float(1 - (np.float32(step + 1) / np.float32(self.steps)))

    def drawn(self, logits: Tensor, i: int, uniform: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """Draw sub-token i of all positions.

        Args:
            logits: (B, T, V_i), or with guidance (2B, T, V_i), unconditional half last.
            i: Number of the sub-token.
            uniform: Uniform numbers (B, T) in [0, 1).
            step: Number of the step, from 0.

        Returns:
            Sub-tokens int64 (B, T), and their confidence (B, T) without noise.
        """
        progress = step / max(self.steps - self.closed, 1)
        logits = self.guided_logits(logits, i, len(uniform), progress)
        first, last = self.annealing
        logits = logits / (last + (first - last) * self._left(step))
        noise = self.noise(step) if self.noisy_draws else 1.0
        if noise < LEAST_TEMPERATURE:
            tokens = logits.argmax(-1)
        else:
            tokens = self((logits / noise).flatten(0, 1), i, uniform.flatten()).view(uniform.shape)
        values = logits if self.confidence == 'logit' else logits.log_softmax(-1)
        return tokens, values.gather(-1, tokens[..., None])[..., 0]

    def remask(self, confidence: Tensor, unknown: Tensor, uniform: Tensor, step: int) -> Tensor:
        """Select the tokens to mask again after a step.

        Args:
            confidence: Confidence of the drawn tokens, without noise (B, T).
            unknown: Tokens that were masked before the step, bool (B, T).
            uniform: Uniform numbers (B, T) in [0, 1).
            step: Number of the step, from 0.

        Returns:
            bool (B, T), with at least one masked token; fewer than before, if there were several.
        """
        tokens = unknown.shape[1]
        # log(-log(0)) is infinite.
        gumbel = -(-uniform.clamp_min(1e-20).log()).log()
        noise = self.noise(step) * gumbel
        confidence = (confidence + noise.to(confidence.dtype)).masked_fill(~unknown, math.inf)
        # Use arrays, as NumPy scalars would become float64. TiTok's code counts in float64.
        number: Any = np.float64 if self.mask_schedule == 'arccos' else np.float32
        ratio = np.full(1, step + 1, number) / number(self.steps)
        count = int((tokens * masked_share(ratio, self.mask_schedule, tokens))[0])
        rows = (unknown.sum(1, keepdim=True) - 1).clamp_max(count).clamp_min(1)
        # A single token has no second smallest.
        limit = confidence.sort(1).values.gather(1, rows.clamp_max(tokens - 1))
        return confidence < limit
