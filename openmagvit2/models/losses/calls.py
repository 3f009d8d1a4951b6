"""Check parts of the loss slot where they are used: losses, penalties and schedules."""

import inspect
from types import MethodType
from typing import Any

from torch import nn

from openmagvit2.errors import UserError

# The `forward` of a torch module that defines none.
MISSING = nn.Module.forward


def check_call(key: str, part: Any, method: str, *needed: str, maybe: tuple[str, ...] = ()) -> None:
    """Raise UserError if a part has no method with the arguments of its caller.

    Args:
        key: Key of the part, for the error.
        part: The object built from the config at this key.
        method: Name of the method.
        needed: Names of the arguments that are passed by position.
        maybe: Names of the arguments that are passed by name if the method accepts them.
    """
    if _takes(getattr(part, method, None), needed, maybe):
        return
    raise UserError(
        f'{key}: {type(part).__name__} cannot be used here; it must have the method '
        f'{method}({", ".join(needed)}).'
    )


def _takes(function: Any, needed: tuple[str, ...], maybe: tuple[str, ...]) -> bool:
    # torch's default `forward` accepts any arguments, and then fails.
    if not callable(function) or isinstance(function, MethodType) and function.__func__ is MISSING:
        return False
    signature = inspect.signature(function)
    try:
        signature.bind(*needed, **{name: None for name in maybe if name in signature.parameters})
    except TypeError:
        return False
    return True
