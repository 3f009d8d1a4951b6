"""Which parts of the loss slot fit which place: it has losses, games, penalties and schedules."""

import inspect
from types import MethodType
from typing import Any

from torch import nn

from openmagvit2.errors import UserError

# What torch gives a module that defines none.
MISSING = nn.Module.forward


def check_call(key: str, part: Any, method: str, *needed: str, maybe: tuple[str, ...] = ()) -> None:
    """Check that a part can be called as its place calls it.

    Args:
        key: Key of the part, for the error.
        part: The object that was built from the config at this key.
        method: Name of the method.
        needed: Names of the arguments that are passed by position.
        maybe: Names of the arguments that are passed by name if the method accepts them.

    Raises:
        UserError: The part has no such method, or its method takes other arguments.
    """
    if _takes(getattr(part, method, None), needed, maybe):
        return
    raise UserError(
        f'{key}: {type(part).__name__} does not belong there; its place calls '
        f'{method}({", ".join(needed)}).'
    )


def _takes(function: Any, needed: tuple[str, ...], maybe: tuple[str, ...]) -> bool:
    # A module without a `forward` of its own takes anything, and fails.
    if not callable(function) or isinstance(function, MethodType) and function.__func__ is MISSING:
        return False
    signature = inspect.signature(function)
    try:
        signature.bind(*needed, **{name: None for name in maybe if name in signature.parameters})
    except TypeError:
        return False
    return True
