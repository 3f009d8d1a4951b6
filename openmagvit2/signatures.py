"""What the constructor of a class accepts, and which of its arguments are configs of parts."""

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

if TYPE_CHECKING:
    from openmagvit2.registry import Registry


@dataclass(frozen=True)
class Range:
    """The numbers that an argument takes, where its type says too little.

    Args:
        words: The range in words, for errors.
        low, high: Its ends, which are part of it.
    """

    words: str
    low: float
    high: float = math.inf

    def holds(self, value: float) -> bool:
        """Return whether a number is in the range."""
        return self.low <= value <= self.high


# Annotations of arguments, which `config/annotations.py` reads.
Fraction = Annotated[float, Range('a number from 0 to 1', 0, 1)]
Weight = Annotated[float, Range('a number from 0', 0)]
Count = Annotated[int, Range('a whole number from 1', 1)]


def accepted(cls: Callable) -> set[str]:
    """Return the names of the keyword arguments of a class or a function.

    If a constructor takes ``**kwargs``, the names of its base class are included.
    """
    names: set[str] = set()
    for base in inspect.getmro(cls) if inspect.isclass(cls) else [cls]:
        if base is object:
            break
        function = base.__init__ if inspect.isclass(base) else base
        parameters = inspect.signature(function).parameters.values()
        names |= {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return names - {'self'}


@dataclass(frozen=True)
class Slot:
    """Which arguments of a class are configs of parts: one, a list of them, or some by name.

    A class says so with ``slots = dict(encoder=ENCODERS, losses=Slot(LOSSES, …))``: a registry
    alone, a ``Slot``, or for a dict without a ``type`` the class whose arguments its keys are.

    Args:
        registry: Registry that builds the parts.
        beside: Keys that the containing class removes from a part's config before building it,
            each with its own slot, or None if its value is not a config.
    """

    registry: 'Registry'
    beside: 'Mapping[str, Slot | Registry | type | None]' = field(default_factory=dict)
