"""Names and types of the arguments that a class accepts."""

import functools
import inspect
import math
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from openmagvit2.errors import UserError

# Name of this package.
OWN = __name__.partition('.')[0]
# Packages whose arguments have the types of their defaults, and the types that are checked.
DEFAULTS_SPEAK = ('mmengine', 'torch')
KIND_OF_DEFAULT: dict[type, Any] = {bool: bool, int: float, float: float}
# Annotations of switches whose default is None in these packages; some are strings.
UNSET_SWITCHES = (bool | None, 'bool | None', 'Optional[bool]')


@dataclass(frozen=True)
class Kind:
    """A description and a test of allowed values, in addition to a type or instead of one.

    Args:
        words: Description of the values, for errors.
        holds: Returns whether a value is allowed.
    """

    words: str
    holds: Callable[[Any], bool]

    def check(self, path: str, value: Any) -> None:
        """Raise UserError if the value of the key ``path`` is not allowed."""
        if not self.holds(value):
            raise UserError(f'{path} must be {self.words}, got {value!r}.')


# Annotations of arguments, checked by `config/annotations.py`.
Fraction = Annotated[float, Kind('a number from 0 to 1', lambda x: 0 <= x <= 1)]
Weight = Annotated[float, Kind('a non-negative number', lambda x: 0 <= x < math.inf)]
# Divides logits.
Temperature = Annotated[float, Kind('a number from 1e-6 to 1e6', lambda x: 1e-6 <= x <= 1e6)]
Count = Annotated[int, Kind('a positive integer', lambda x: x >= 1)]


def accepted(cls: Callable) -> set[str]:
    """Return the names of the keyword arguments of a class or a function.

    If a constructor accepts ``**kwargs``, the names of its base class are included.
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


@functools.cache
def annotations(cls: Callable) -> dict[str, Any]:
    """Return the types of the arguments of a class or a function.

    A default of None adds None to the type; a negative default allows any value. Arguments that a
    class passes on with ``**kwargs`` are those of its base class. Classes of mmengine and torch are
    rarely annotated, so types come from their defaults; those of other packages are omitted.
    """
    found: dict[str, Any] = {}
    for base in inspect.getmro(cls) if inspect.isclass(cls) else (cls,):
        if base is object or inspect.isclass(base) and '__init__' not in vars(base):
            continue
        function = base.__init__ if inspect.isclass(base) else base
        parameters = inspect.signature(function).parameters
        package = base.__module__.partition('.')[0]
        if package == OWN:
            hints = typing.get_type_hints(function, include_extras=True)
            for name in hints.keys() & parameters.keys():
                default = parameters[name].default
                negative = isinstance(default, int) and default < 0
                hint = hints[name] | None if default is None else hints[name]
                found.setdefault(name, Any if negative else hint)
        elif package in DEFAULTS_SPEAK:
            for name, parameter in parameters.items():
                kind = KIND_OF_DEFAULT.get(type(parameter.default), Any)
                unset = parameter.annotation in UNSET_SWITCHES
                found.setdefault(name, bool | None if unset else kind)
        if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            break
    return found


def members(hint: Any) -> tuple:
    """Return the members of a union type, or the type itself in a tuple."""
    union = typing.get_origin(hint) in (types.UnionType, typing.Union)
    return typing.get_args(hint) if union else (hint,)


def whole_numbers(cls: Callable, config: dict) -> dict:
    """Return a config in which floats such as 1e5 are integers where a class expects integers."""
    hints = annotations(cls) if inspect.isclass(cls) else {}
    return {key: _whole(value, hints.get(key)) for key, value in config.items()}


def _whole(value: Any, hint: Any) -> Any:
    kinds = [_bare(kind) for kind in members(hint)]
    if isinstance(value, (list, tuple)):
        inner = next((typing.get_args(kind)[0] for kind in kinds if typing.get_args(kind)), None)
        return type(value)(_whole(item, inner) for item in value)
    counts = int in kinds and float not in kinds
    return int(value) if counts and isinstance(value, float) and value.is_integer() else value


def _bare(hint: Any) -> Any:
    """Return an annotation without its range."""
    annotated = typing.get_origin(hint) is Annotated
    return typing.get_args(hint)[0] if annotated else hint
