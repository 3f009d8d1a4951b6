"""What the constructor of a class accepts."""

import inspect
from collections.abc import Callable


def accepted(cls: Callable) -> set[str]:
    """Names that a class, or a function, takes by keyword.

    Where a constructor hands ``**kwargs`` on, the names of its base class count too.
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
