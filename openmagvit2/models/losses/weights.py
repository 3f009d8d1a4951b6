"""Loss weights: a number or a schedule."""

from openmagvit2.errors import UserError
from openmagvit2.registry import LOSSES
from openmagvit2.signatures import Count


class LossWeight:
    """A loss weight that may change in training: ``weight(iteration) -> float``."""

    def __call__(self, iteration: int) -> float:
        """Return the weight after ``iteration`` finished iterations."""
        raise NotImplementedError


class ConstantWeight(LossWeight):
    """A constant weight."""

    def __init__(self, value: float) -> None:
        self.value = value

    def __call__(self, iteration: int) -> float:
        return self.value


@LOSSES.register_module()
class LinearWeight(LossWeight):
    """Linear from ``start`` to ``end``, then constant: MAGVIT's annealing of the entropy loss.

    Args:
        start: Weight in the first iteration.
        end: Weight after ``steps`` iterations.
        steps: Number of iterations of the linear part.
    """

    def __init__(self, *, start: float, end: float, steps: Count) -> None:
        self.start, self.end, self.steps = start, end, steps

    def __call__(self, iteration: int) -> float:
        return self.start + (self.end - self.start) * min(iteration / self.steps, 1.0)


def build_weight(value: float | dict, key: str) -> LossWeight:
    """Build a loss weight.

    Args:
        value: A number or the config of a schedule.
        key: Key of the value, for the error.

    Raises:
        UserError: ``value`` is neither.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return ConstantWeight(value)
    weight = LOSSES.build(value) if isinstance(value, dict) else None
    if not isinstance(weight, LossWeight):
        raise UserError(
            f"{key} must be a number, or a schedule as dict(type='LinearWeight', start=0.3, "
            f'end=0.1, steps=2000), got {value!r}.'
        )
    return weight
