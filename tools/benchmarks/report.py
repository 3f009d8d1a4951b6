"""Results of measurements, and their formats."""

import dataclasses
import json
from dataclasses import dataclass, field


@dataclass
class Result:
    """Time and memory of some work, with a lower bound and a plain implementation for comparison.

    Attributes:
        name: Description of the work, with sizes and compute type.
        seconds: Time, the median of several repeats.
        amount, unit: What was processed in this time, such as 256 'tokens'.
        peak: Peak bytes beyond those allocated before; None: not measured.
        floor: Minimum seconds that this machine needs, by its measured rates.
        floor_of: Operations that the floor includes.
        plain: Seconds of a plain implementation.
        plain_peak: Peak bytes of the plain implementation.
        plain_of: Description of the plain implementation.
        notes: Further lines.
        passed: False makes the tool return 1.
    """

    name: str
    seconds: float
    amount: float = 1.0
    unit: str = 'calls'
    peak: float | None = None
    floor: float | None = None
    floor_of: str = ''
    plain: float | None = None
    plain_peak: float | None = None
    plain_of: str = ''
    notes: list[str] = field(default_factory=list)
    passed: bool = True

    def __str__(self) -> str:
        rate = f'{number(self.amount / self.seconds)} {self.unit}/s'
        lines = [self.name, f'  {number(self.seconds)} s, {rate}{_memory(self.peak)}']
        if self.floor is not None:
            lines.append(
                f'  floor {number(self.floor)} s ({self.floor_of}): '
                f'{100 * self.floor / self.seconds:.0f} % of that rate'
            )
        if self.plain is not None:
            ratio = f'{number(self.plain / self.seconds)} times as fast'
            if self.peak and self.plain_peak:
                ratio += f', {number(self.peak / self.plain_peak)} of the memory'
            lines.append(
                f'  plain {number(self.plain)} s{_memory(self.plain_peak)} ({self.plain_of}): '
                f'{ratio}'
            )
        return '\n'.join([*lines, *(f'  {note}' for note in self.notes)])

    def content(self) -> dict:
        """Return the attributes and their ratios, for ``--json``."""
        ratios = dict(throughput=self.amount / self.seconds)
        if self.floor is not None:
            ratios['floor_ratio'] = self.floor / self.seconds
        if self.plain is not None:
            ratios['plain_ratio'] = self.plain / self.seconds
        return dataclasses.asdict(self) | ratios


def number(value: float) -> str:
    """Format a number with three digits and without an exponent: 0.0213, 9.24, 1 340, 256 000."""
    if value == 0 or not 1e-6 < abs(value) < 1e12:
        return f'{value:.3g}'
    text = f'{float(f"{value:.3g}"):,.9f}'.rstrip('0').rstrip('.')
    return text.replace(',', ' ')


def as_json(machine: dict, results: dict[str, list[Result]], interrupted: bool) -> str:
    """Return the whole run as one JSON document.

    Args:
        machine: Processor, threads and rates.
        results: Results by part.
        interrupted: Whether Ctrl-C ended the run early.
    """
    content = {part: [result.content() for result in found] for part, found in results.items()}
    return json.dumps(dict(machine=machine, results=content, interrupted=interrupted), indent=1)


def _memory(value: float | None) -> str:
    return '' if value is None else f', {number(value / 1e6)} MB'
