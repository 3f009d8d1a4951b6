"""Warm-up and decay of the learning rate by iteration, in closed form.

See docs/reference/specification.md, Tokenizer recipes and Generator recipes.
"""

import math
from typing import Any

from mmengine.optim import _ParamScheduler
from mmengine.optim.scheduler.lr_scheduler import LRSchedulerMixin

from openmagvit2.errors import UserError, check_choice
from openmagvit2.registry import PARAM_SCHEDULERS
from openmagvit2.signatures import Fraction, Weight

SHAPES = ('constant', 'cosine', 'linear')
# Keys in the state of a scheduler that are its position, not its settings.
POSITION = ('last_step', '_global_step', '_last_value', 'verbose', 'optimizer')


def factor(
    t: int, total: int, warmup: int, warmup_start: float, hold: float, final: float, shape: str
) -> float:
    """Return the learning rate before iteration ``t`` of ``total`` as a fraction of the peak."""
    if t < warmup:
        return warmup_start + (1 - warmup_start) * t / warmup
    p = min((t - warmup) / max(total - 1 - warmup, 1), 1.0)
    if shape == 'constant' or p < hold:
        return 1.0
    if shape == 'cosine':
        p = (p - hold) / (1 - hold)
        return final + (1 - final) * (0.5 + 0.5 * math.cos(math.pi * p))
    return final + (1 - final) * (1 - p) / (1 - hold)


@PARAM_SCHEDULERS.register_module()
class WarmupDecayLR(LRSchedulerMixin, _ParamScheduler):
    """Linear warm-up, a flat part, and a cosine or linear decay.

    Args:
        optimizer: Passed by the Runner.
        warmup: Number of iterations of the warm-up.
        warmup_start: Learning rate at the start of the warm-up, as a fraction of the peak.
        hold: Length of the flat part, as a fraction of the iterations after the warm-up.
        final: Learning rate at the end of the decay, as a fraction of the peak.
        shape: Shape of the decay: 'constant' (none), 'cosine', or 'linear'.
        begin: First iteration of the warm-up; before it the learning rate is the peak.
        end: Last iteration; the Runner passes the length of the training.

    Raises:
        UserError: ``by_epoch`` is not False.
    """

    def __init__(
        self,
        optimizer,
        warmup: int = 0,
        warmup_start: Weight = 0.0,
        hold: Fraction = 0.0,
        final: Weight = 0.0,
        shape: str = 'cosine',
        begin: int = 0,
        end: int = 1_000_000_000,
        last_step: int = -1,
        by_epoch: bool = True,
        verbose: bool = False,
    ) -> None:
        check_choice('param_scheduler.shape', shape, SHAPES)
        if by_epoch:
            # Without this key the Runner passes the number of epochs as `end`, so that the decay
            # ends at once.
            raise UserError('param_scheduler: WarmupDecayLR counts iterations; add by_epoch=False.')
        self.curve = dict(
            warmup=warmup, warmup_start=warmup_start, hold=hold, final=final, shape=shape
        )
        # mmengine requires at least one iteration.
        end = max(end, begin + 1)
        super().__init__(
            optimizer, begin=begin, end=end, last_step=last_step, by_epoch=False, verbose=verbose
        )

    def _get_value(self) -> list[float]:
        now = factor(self.last_step, self.end - self.begin, **self.curve)
        return [base * now for base in self.base_values]

    def load_state_dict(self, state_dict: dict) -> None:
        """Restore the position only; the config sets the learning rate there."""
        # Not from `last_step`, which stops at `end`: a longer training continues.
        self._global_step = state_dict['_global_step']
        self.last_step = max(min(self._global_step, self.end - 1) - self.begin, -1)
        if self.last_step >= 0:
            for group, value in zip(self.optimizer.param_groups, self._get_value(), strict=True):
                group[self.param_name] = value
        self._last_value = [group[self.param_name] for group in self.optimizer.param_groups]


def check_states(schedulers: Any, states: Any) -> None:
    """Raise UserError if number or settings of the schedulers differ from those of a checkpoint.

    Settings of :class:`WarmupDecayLR` may, because its rate is a function of the iteration.

    Args:
        schedulers: A list, a dict of lists by role, or None.
        states: Their states in the checkpoint.
    """
    own, saved = (x if isinstance(x, dict) else {'': x or []} for x in (schedulers, states))
    for role in dict.fromkeys([*own, *saved]):
        pair = own.get(role, []), saved.get(role, [])
        if len(pair[0]) != len(pair[1]):
            raise UserError(
                f'param_scheduler: {len(pair[0])} for {role or "the model"}, the checkpoint has '
                f'{len(pair[1])}; use as many.'
            )
        for scheduler, state in zip(*pair, strict=True):
            if not (isinstance(scheduler, WarmupDecayLR) and 'curve' in state):
                _check_settings(scheduler, state)


def _check_settings(scheduler: Any, state: dict[str, Any]) -> None:
    for key, value in scheduler.state_dict().items():
        if key in POSITION or not isinstance(value, (int, float, str, bool, list, tuple)):
            continue
        if key in state and state[key] != value:
            name = 'the learning rate' if key == 'base_values' else key
            raise UserError(
                f'param_scheduler {type(scheduler).__name__}: {name} was {state[key]!r} and is '
                f'{value!r}, which this scheduler cannot resume; use WarmupDecayLR, or start from '
                f'the weights with load_from.'
            )
