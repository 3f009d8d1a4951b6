"""What the constructor of a class accepts, and which of its arguments are configs of parts."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from openmagvit2.registry import Registry


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
