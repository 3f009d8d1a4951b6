"""Plan the length of a run: the steps of each stage, fixed once, and their time on this machine."""

import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from openmagvit2.errors import UserError

# What the README promises for two idle AVX2 cores that reach 50 GFLOP/s (speed.convolution_rate).
MINUTES, RATE = 12.0, 50.0
# Time of judge, evaluation, samples, pictures and the start of the trainings, at that rate.
OTHER_SECONDS = 90.0
LEAST_STEPS = 10
# What reading raises for a truncated file or one that another program wrote.
DAMAGE = (UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError, AttributeError)
# An estimate that exceeds the announced time by this factor is reported.
LATE = 1.5


@dataclass(frozen=True)
class Stage:
    """One training of the quickstart.

    Attributes:
        steps: Total number of steps.
        seconds: Time of one step.
    """

    steps: int
    seconds: float


@dataclass(frozen=True)
class Plan:
    """The content of ``plan.json``.

    Attributes:
        minutes: The budget of ``--minutes``; None for the full run.
        rate: GFLOP/s of this machine (``speed.convolution_rate``).
        stages: The trainings by name, in order.
    """

    minutes: float | None
    rate: float
    stages: dict[str, Stage]

    @property
    def other_seconds(self) -> float:
        """Time of everything except the trainings."""
        return OTHER_SECONDS * RATE / self.rate

    @property
    def total_minutes(self) -> float:
        """Length of the whole run, from the measured times of a step."""
        return (
            sum(stage.steps * stage.seconds for stage in self.stages.values()) + self.other_seconds
        ) / 60

    def within(self, minutes: float) -> 'Plan':
        """Return a plan with the same stages, scaled to a budget in minutes."""
        full = sum(stage.steps * stage.seconds for stage in self.stages.values())
        scale = max(60 * minutes - self.other_seconds, 0) / full
        steps = {
            name: max(round(stage.steps * scale), LEAST_STEPS)
            for name, stage in self.stages.items()
        }
        stages = {name: replace(stage, steps=steps[name]) for name, stage in self.stages.items()}
        return Plan(minutes, self.rate, stages)

    def write(self, path: Path) -> None:
        """Write the plan as JSON."""
        path.write_text(json.dumps(asdict(self), indent=2) + '\n', encoding='utf-8')


def read_plan(path: Path, minutes: float | None) -> Plan:
    """Read the plan of an earlier start.

    Args:
        path: ``plan.json``.
        minutes: The budget of this start; None accepts that of the plan.

    Raises:
        UserError: The plan was made for another budget, or cannot be read.
    """
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
        stages = {name: Stage(**stage) for name, stage in content['stages'].items()}
        plan = Plan(content['minutes'], content['rate'], stages)
    except DAMAGE as error:
        raise UserError(
            f'{path} is not a valid plan ({error!r}); choose another --work-dir, or remove it.'
        ) from None
    if minutes is not None and minutes != plan.minutes:
        length = 'the full length' if plan.minutes is None else f'--minutes {plan.minutes:g}'
        raise UserError(
            f'{path.parent} contains a run of {length}; use the same, or another --work-dir.'
        )
    return plan


class Pace:
    """Compares measured times with the announced one, from the start of a run.

    Args:
        plan: Steps and their expected times.
        announced: Minutes that the user was promised.
    """

    def __init__(self, plan: Plan, announced: float) -> None:
        self.plan, self.announced = plan, announced
        self.begin = time.perf_counter()

    def estimate(self, stage: str, left: int, seconds: float) -> float:
        """Estimate the minutes of the whole run, from the time so far and the measured time of a
        step.

        Args:
            stage: The running stage.
            left: Its remaining steps.
            seconds: Measured time of one step; later stages are expected to be off by the same
                factor.
        """
        names = list(self.plan.stages)
        later = [self.plan.stages[name] for name in names[names.index(stage) + 1 :]]
        factor = seconds / self.plan.stages[stage].seconds
        rest = left * seconds + factor * (
            sum(each.steps * each.seconds for each in later) + self.plan.other_seconds
        )
        return (time.perf_counter() - self.begin + rest) / 60

    def report(self, minutes: float, cause: str) -> str:
        """Return a line with an estimate and, if it is much longer than announced, a likely cause
        and a remedy.
        """
        line = f'about {minutes:.1f} minutes in all'
        if minutes < LATE * self.announced:
            return line
        return f'{line}, where {self.announced:.3g} were expected. Likely cause: {cause}'


def likely_cause(share: float, dtype: str, fastest: str) -> str:
    """Return a sentence that says why a step is slow, and what to do about it.

    Args:
        share: Fraction of the cores' time that this process had, from 0 to 1.
        dtype: Type that the stage computes in.
        fastest: Type that this machine is fastest in.
    """
    if dtype != fastest:
        return f'it computes in {dtype}, which is slow here; set optim_wrapper.dtype=auto.'
    if share < 0.75:
        return (
            f'another program is busy on the same cores (this one had {share:.0%} of them); '
            f'close it.'
        )
    return (
        'this processor is slower than the one of the estimate; Ctrl-C and --minutes N with '
        'another --work-dir make a shorter run.'
    )
