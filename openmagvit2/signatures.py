"""What the constructor of a class accepts."""

import functools
import inspect
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from openmagvit2.errors import UserError

# Name of this package.
OWN = __name__.partition('.')[0]
# Packages whose arguments take what is like their defaults, and what that is.
DEFAULTS_SPEAK = ('mmengine', 'torch')
KIND_OF_DEFAULT: dict[type, Any] = {bool: bool, int: float, float: float}


@dataclass(frozen=True)
class Kind:
    """What a value may be, in words and as a test, where a type says too little or nothing."""

    words: str
    holds: Callable[[Any], bool]

    def check(self, path: str, value: Any) -> None:
        """Raise UserError if the value of a key is of another kind."""
        if not self.holds(value):
            raise UserError(f'{path} must be {self.words}, got {value!r}.')


# Annotations of arguments, which `config/annotations.py` reads.
Fraction = Annotated[float, Kind('a number from 0 to 1', lambda x: 0 <= x <= 1)]
Weight = Annotated[float, Kind('a number from 0', lambda x: x >= 0)]
Count = Annotated[int, Kind('a whole number from 1', lambda x: x >= 1)]


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


@functools.cache
def annotations(cls: Callable) -> dict[str, Any]:
    """Return the types of the arguments of a class or a function; a default that is None may be
    given too, and where it is a negative number everything.

    Arguments that a class hands on with ``**kwargs`` are those of its base class. Of classes of
    mmengine and torch, few of which are annotated, the defaults say what they take; those of other
    packages are left out.
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
                found.setdefault(name, KIND_OF_DEFAULT.get(type(parameter.default), Any))
        if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            break
    return found


def members(hint: Any) -> tuple:
    """Return the types of a union; of another type it alone."""
    union = typing.get_origin(hint) in (types.UnionType, typing.Union)
    return typing.get_args(hint) if union else (hint,)


def whole_numbers(cls: Callable, config: dict) -> dict:
    """Return a config with 100000 for 1e5 where a class takes whole numbers."""
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
