"""Which parts of the loss slot fit which place: it has losses, games, penalties and schedules."""

import inspect
from typing import Any

from openmagvit2.errors import UserError


def check_call(key: str, part: Any, method: str, *needed: str, maybe: tuple[str, ...] = ()) -> None:
    """Check that a part can be called as its place calls it.

    Args:
        key: Key of the part, for the error.
        part: What the config there built.
        method: Name of the method.
        needed: What the place hands over by position.
        maybe: What it hands over by name, where the method accepts it.

    Raises:
        UserError: It has no such method, or one of other arguments.
    """
    function = getattr(part, method, None)
    try:
        signature = inspect.signature(function) if callable(function) else None
        if signature is not None:
            given = dict.fromkeys(name for name in maybe if name in signature.parameters)
            signature.bind(*needed, **given)
    except TypeError:
        signature = None
    # A module without a `forward` of its own takes anything, and fails.
    if signature is None or getattr(function, '__name__', '') == '_forward_unimplemented':
        raise UserError(
            f'{key}: {type(part).__name__} does not belong there; its place calls '
            f'{method}({", ".join(needed)}).'
        )
