"""What ends a run without being a bug: a mistake of the user, or a signal."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any


class UserError(ValueError):
    """A mistake of the user; the message names the key or the file, and the remedy.

    The tools print it as one sentence and exit with code 2. Every other exception is a bug, here or
    in a part that a user wrote, and keeps its traceback.
    """


class TrainingStopped(Exception):
    """A signal ended the training; ``iteration`` iterations are saved.

    Attributes:
        iteration: Iterations done.
        signal_number: The signal that ended it.
    """

    def __init__(self, iteration: int, signal_number: int) -> None:
        super().__init__(f'stopped after iteration {iteration}')
        self.iteration = iteration
        self.signal_number = signal_number

    def __reduce__(self) -> tuple:
        return type(self), (self.iteration, self.signal_number)


def check_choice(key: str, value: Any, choices: Iterable[Any]) -> None:
    """Raise UserError if the value of ``key`` is none of its choices."""
    # A list, because a config may hold what cannot be hashed.
    if value not in list(choices):
        raise UserError(f'{key} must be one of {", ".join(map(str, choices))}, got {value!r}.')


def few(names: Sequence[str], most: int = 3) -> str:
    """Return the first names of a list for a message, and … where there are more."""
    return ', '.join(names[:most]) + (', …' if len(names) > most else '')


def faults(kinds: Mapping[str, Sequence[str]]) -> str:
    """Return what is wrong by kind, as '2 missing (a, b); 1 unexpected (c)'; '' if nothing is."""
    return '; '.join(f'{len(v)} {kind} ({few(v)})' for kind, v in kinds.items() if v)
