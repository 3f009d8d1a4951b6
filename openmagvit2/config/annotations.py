"""Values of a config against the annotations of the classes that get them."""

import numbers
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from openmagvit2.errors import UserError
from openmagvit2.signatures import annotations, members

# What a config can write, in words.
WORDS: dict[Any, str] = {
    int: 'a whole number from 0',
    float: 'a number',
    bool: 'True or False',
    str: 'a string',
    dict: 'a dict',
    type(None): 'None',
}


def check_argument(path: str, value: Any, cls: Callable | None, of: str = '') -> None:
    """Check the value of an argument, where this package's own annotations say what it takes.

    Args:
        path: Its key in the config; the last part is the name of the argument.
        value: Its value.
        cls: The class that gets it; None: no class is known.
        of: What a dict there describes, for the message, as ' of the encoder slot'.

    Raises:
        UserError: It is of another type.
    """
    hint = annotations(cls).get(path.rpartition('.')[2]) if cls is not None else None
    if hint is not None:
        check_kind(path, value, hint, of)


def check_options(option: str, given: Mapping[str, Any], cls: Callable | None) -> None:
    """Check what an option of the command line gives to a class, as KEY=VALUE."""
    for key, value in given.items():
        check_argument(f'{option}.{key}', value, cls)


def check_kind(path: str, value: Any, hint: Any, of: str = '') -> None:
    """Raise UserError if a value is not of a type; see :func:`check_argument`."""
    if not fits(value, hint):
        taken = spoken(hint).replace(WORDS[dict], WORDS[dict] + of)
        raise UserError(f'{path} must be {taken}, got {value!r}.')
    named = next((kind for kind in members(hint) if typing.get_origin(kind) is Mapping), None)
    if named and isinstance(value, dict):
        for name, item in value.items():
            check_kind(f'{path}.{name}', item, typing.get_args(named)[1], of)


def fits(value: Any, hint: Any) -> bool:
    """Return whether a value is of a type; of a type that no config can write, everything is.

    What a mapping holds is not looked at.
    """
    if len(members(hint)) > 1:
        return any(fits(value, kind) for kind in members(hint))
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return fits(value, inner[0]) and inner[1].holds(value)
    if origin is Mapping:
        return isinstance(value, dict)
    if (origin or hint) in (Sequence, list):
        listed = isinstance(value, Sequence) and not isinstance(value, str)
        return listed and all(fits(item, inner[0]) for item in value if inner)
    if hint is int and isinstance(value, float):
        # 1e5 is a number of iterations; 8.0 channels are a mistake.
        return value.is_integer() and value >= 1000
    if hint in (int, float):
        kind = numbers.Integral if hint is int else numbers.Real
        number = isinstance(value, kind) and not isinstance(value, bool)
        # NaN is unlike itself.
        return number and (value == value if hint is float else value >= 0)
    return isinstance(value, hint) if hint in WORDS else True


def spoken(hint: Any) -> str:
    """Return a type in words."""
    if len(members(hint)) > 1:
        return ' or '.join(map(spoken, members(hint)))
    if hint in WORDS or typing.get_origin(hint) is Mapping:
        return WORDS.get(hint, WORDS[dict])
    inner = typing.get_args(hint)
    if typing.get_origin(hint) is typing.Annotated:
        return inner[1].words
    return 'a list' + (f', each {spoken(inner[0])}' if inner else '')
