"""Draw a sub-token from logits: guidance, temperature, top-k, top-p, draw."""

import math
import numbers
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from openmagvit2.errors import UserError, check_choice
from openmagvit2.models.layers.decoding_weights import WEIGHTS
from openmagvit2.models.samplers.filters import draw, top_k, top_p
from openmagvit2.models.samplers.guidance import SCHEDULES, guide, scheduled
from openmagvit2.registry import SAMPLERS
from openmagvit2.signatures import Count

Setting = float | Sequence[float]

# Below this, dividing float32 logits can overflow, and a draw always gives the largest logit, as
# different logits of ordinary size are never close enough.
LEAST_TEMPERATURE = 1e-20
# The largest value of each setting; the smallest is 0. Larger scales and temperatures would have
# the same effect as these, or overflow.
LARGEST = dict(guidance=1_000_000, temperature=1_000_000, top_k=math.inf, top_p=1)


@SAMPLERS.register_module()
class SubTokenSampler:
    """Draw sub-tokens from logits with guidance, temperature, top-k and top-p.

    ``guidance``, ``temperature``, ``top_k``, ``top_p`` and ``schedule`` are one value, or one for
    each sub-token.

    Args:
        guidance: Scale of classifier-free guidance, at most 1,000,000; 1 disables it, and the model
            then runs without an unconditional half.
        temperature: At most 1,000,000; 0, or anything below 1e-20, selects the largest logit.
        top_k: Integer; 0 disables the filter.
        top_p: 1 disables the filter, 0 selects the largest logit.
        schedule: How guidance changes over the positions: 'constant', 'linear', 'cosine' or
            'interval'; see :func:`guidance.scheduled`.
        interval: First and last progress with guidance, from 0 to 1, for 'interval'.
        power: Exponent of the progress, for 'cosine'; 0 gives full guidance everywhere.
        closed: Whether the progress is 1 at the last position; otherwise it is t / T at position t
            of T.
        decoding: In an auto-regressive generator, 'sequential', or 'jacobi' for several positions
            at a time (see :mod:`jacobi`): the same distribution, but another stream of random
            numbers, so a seed gives other images. A next-scale generator also has 'smooth', which
            mixes codes instead of drawing tokens, for visualization and not for metrics.
        window: Number of positions at a time, for 'jacobi'; it does not change the images.
        weights: How an auto-regressive generator stores its weights for decoding: 'plain',
            'packed' (float32 on a CPU), 'int8' (approximate), or 'auto', packed where it is faster;
            see :func:`decoding_weights.chosen`.

    Raises:
        UserError: A setting is out of range; the message names it.
    """

    def __init__(
        self,
        *,
        guidance: Setting = 1.0,
        temperature: Setting = 1.0,
        top_k: Setting = 0,
        top_p: Setting = 1.0,
        schedule: str | Sequence[str] = 'constant',
        interval: Sequence[float] = (0.0, 1.0),
        power: float = 1.0,
        closed: bool = True,
        decoding: str = 'sequential',
        window: Count = 8,
        weights: str = 'auto',
    ) -> None:
        self.power, self.closed = power, closed
        self.decoding, self.window, self.weights = decoding, window, weights
        self.schedules = [schedule] if isinstance(schedule, str) else list(schedule)
        self.interval = tuple(interval)
        given = dict(guidance=guidance, temperature=temperature, top_k=top_k, top_p=top_p)
        # One value, or one for each sub-token.
        self.settings: dict[str, list[Any]] = {
            name: list(value) if isinstance(value, (list, tuple)) else [value]
            for name, value in given.items()
        }
        self._check_choices()
        self._check_schedule()
        for name, values in self.settings.items():
            for value in values:
                _check_number(name, value)

    def _check_choices(self) -> None:
        if not 0 <= self.power < math.inf:
            raise UserError(f'sampling.power must be at least 0 and finite, got {self.power!r}.')
        check_choice('sampling.decoding', self.decoding, ('sequential', 'jacobi', 'smooth'))
        check_choice('sampling.weights', self.weights, WEIGHTS)

    def _check_schedule(self) -> None:
        for name in self.schedules:
            check_choice('sampling.schedule', name, SCHEDULES)
        if len(self.interval) != 2 or not 0 <= self.interval[0] <= self.interval[1] <= 1:
            raise UserError(
                f'sampling.interval must be two increasing numbers in [0, 1], got {self.interval}.'
            )

    def check(self, sub_tokens: int) -> None:
        """Raise UserError if a list of values has another length than ``sub_tokens``."""
        if len(self.schedules) not in (1, sub_tokens):
            raise UserError(
                f'sampling.schedule={self.schedules}: give one name, or one for each of the '
                f'{sub_tokens} sub-tokens.'
            )
        for name, values in self.settings.items():
            if len(values) not in (1, sub_tokens):
                raise UserError(
                    f'sampling.{name}={values}: give one number, or one for each of the '
                    f'{sub_tokens} sub-tokens.'
                )

    def setting(self, name: str, i: int) -> float:
        """Return the value of a setting for sub-token i."""
        values = self.settings[name]
        return values[i] if len(values) > 1 else values[0]

    @property
    def guided(self) -> bool:
        """Whether any sub-token needs an unconditional half."""
        return any(scale != 1 for scale in self.settings['guidance'])

    def __call__(self, logits: Tensor, i: int, uniform: Tensor, progress: float = 1.0) -> Tensor:
        """Draw sub-token i, int64 (B,), from logits (B or 2B, V_i) and uniform numbers (B,) in
        [0, 1); ``progress`` goes from 0 to 1.
        """
        logits = self.filtered(logits, i, len(uniform), progress)
        return logits.argmax(-1) if self._greedy(i) else draw(logits, uniform)

    def coupled(self, logits: Tensor, i: int, noise: Tensor, progress: float = 1.0) -> Tensor:
        """Draw from the same distribution with Gumbel noise (B, V_i) instead of uniform numbers."""
        logits = self.filtered(logits, i, len(noise), progress)
        return (logits if self._greedy(i) else logits + noise).argmax(-1)

    def guided_logits(self, logits: Tensor, i: int, batch: int, progress: float) -> Tensor:
        """Apply guidance to logits (B or 2B, …, V_i) of B images; return float32 (B, …, V_i)."""
        schedule = self.schedules[i if len(self.schedules) > 1 else 0]
        guidance = self.setting('guidance', i)
        scale = scheduled(guidance, schedule, progress, self.interval, self.power)
        return guide(logits.float(), scale, batch)

    def filtered(self, logits: Tensor, i: int, batch: int, progress: float) -> Tensor:
        """Apply guidance, temperature and filters to logits (B or 2B, V_i) of a batch of B; return
        (B, V_i). A temperature of 0 applies guidance only.
        """
        logits = self.guided_logits(logits, i, batch, progress)
        if self._greedy(i):
            return logits
        logits = logits / self.setting('temperature', i)
        return top_p(top_k(logits, int(self.setting('top_k', i))), self.setting('top_p', i))

    def _greedy(self, i: int) -> bool:
        """Return whether sub-token i is selected by its largest logit."""
        return self.setting('temperature', i) < LEAST_TEMPERATURE


def _check_number(name: str, value: Any) -> None:
    """Raise UserError if a setting does not allow a value."""
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not is_number:
        raise UserError(f'sampling.{name} must be a number, got {value!r}.')
    if value in (math.inf, -math.inf):
        raise UserError(f'sampling.{name} must be a finite number, got {value}.')
    largest = LARGEST[name]
    # NaN also fails this comparison.
    if not 0 <= value <= largest:
        limit = f' and at most {largest}' if largest < math.inf else ''
        raise UserError(f'sampling.{name} must be at least 0{limit}, got {value}.')
    if name == 'top_k' and value != int(value):
        raise UserError(f'sampling.top_k must be an integer, got {value}.')
