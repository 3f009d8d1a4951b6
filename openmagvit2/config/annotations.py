"""The check of config values against the annotations of the classes that receive them."""

import numbers
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from openmagvit2.errors import UserError
from openmagvit2.signatures import annotations, members

# Types that a config can contain, in words.
WORDS: dict[Any, str] = {
    int: 'a non-negative integer',
    float: 'a number',
    bool: 'True or False',
    str: 'a string',
    dict: 'a dict',
    type(None): 'None',
}


def check_argument(path: str, value: Any, cls: Callable | None, of: str = '') -> None:
    """Raise UserError if the value of an argument does not fit its annotation, if it has one.

    Args:
        path: Key in the config; its last part is the name of the argument.
        value: The value.
        cls: The class that receives it, or None if it is not known.
        of: Description of a dict for the message, such as ' of the encoder slot'.
    """
    hint = annotations(cls).get(path.rpartition('.')[2]) if cls is not None else None
    if hint is not None:
        check_kind(path, value, hint, of)


def check_options(option: str, given: Mapping[str, Any], cls: Callable | None) -> None:
    """Check the KEY=VALUE pairs of a command line option that are passed to a class."""
    for key, value in given.items():
        check_argument(f'{option}.{key}', value, cls)


def check_kind(path: str, value: Any, hint: Any, of: str = '') -> None:
    """Raise UserError if a value is not of the annotated type; see :func:`check_argument`."""
    if not fits(value, hint):
        taken = spoken(hint).replace(WORDS[dict], WORDS[dict] + of)
        raise UserError(f'{path} must be {taken}, got {value!r}.')
    named = next((kind for kind in members(hint) if typing.get_origin(kind) is Mapping), None)
    if named and isinstance(value, dict):
        for name, item in value.items():
            check_kind(f'{path}.{name}', item, typing.get_args(named)[1], of)


def fits(value: Any, hint: Any) -> bool:
    """Return whether a value is of a type.

    Every value is accepted for a type that no config can contain. Values inside a mapping are not
    checked.
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
        # 1e5 is meant as a number of iterations; 8.0 channels are a mistake.
        return value.is_integer() and value >= 1000
    if hint in (int, float):
        kind = numbers.Integral if hint is int else numbers.Real
        number = isinstance(value, kind) and not isinstance(value, bool)
        # NaN is not equal to itself.
        return number and (value == value if hint is float else value >= 0)
    return isinstance(value, hint) if hint in WORDS else True


def spoken(hint: Any) -> str:
    """Describe a type in words."""
    if len(members(hint)) > 1:
        return ' or '.join(map(spoken, members(hint)))
    if hint in WORDS or typing.get_origin(hint) is Mapping:
        return WORDS.get(hint, WORDS[dict])
    inner = typing.get_args(hint)
    if typing.get_origin(hint) is typing.Annotated:
        return inner[1].words
    return 'a list' + (f', each {spoken(inner[0])}' if inner else '')
