"""Exceptions that end a run without being a bug: a user's mistake, or a signal."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any


class UserError(ValueError):
    """A user's mistake; the message names the key or file, and the remedy.

    The tools print it as one sentence and exit with code 2. Any other exception is a bug, here or
    in a user's part, and keeps its traceback.

    Attributes:
        elsewhere: Whether the main process raises the same error, and prints it.
    """

    elsewhere = False


class TrainingStopped(Exception):
    """A signal ended the training, after ``iteration`` iterations were saved.

    Attributes:
        iteration: Number of finished iterations.
        signal_number: The signal that ended the training.
    """

    def __init__(self, iteration: int, signal_number: int) -> None:
        super().__init__(f'stopped after iteration {iteration}')
        self.iteration = iteration
        self.signal_number = signal_number

    def __reduce__(self) -> tuple:
        return type(self), (self.iteration, self.signal_number)


def check_choice(key: str, value: Any, choices: Iterable[Any]) -> None:
    """Raise UserError if the value of ``key`` is not one of ``choices``."""
    # A list, because values from a config may be unhashable.
    if value not in list(choices):
        raise UserError(f'{key} must be one of {", ".join(map(str, choices))}, got {value!r}.')


@contextmanager
def about(subject: str) -> Iterator[None]:
    """Put the key or the file that a UserError in the context is about before its message."""
    try:
        yield
    except UserError as error:
        raise UserError(f'{subject}: {error}') from error


def first_line(error: BaseException) -> str:
    """Return the first line of an error of another package without its dot, or else its name."""
    return str(error).strip().partition('\n')[0].rstrip('.') or type(error).__name__


def few(names: Sequence[str], most: int = 3) -> str:
    """Return up to ``most`` names as text for a message, with … if there are more."""
    return ', '.join(names[:most]) + (', …' if len(names) > most else '')


def faults(kinds: Mapping[str, Sequence[str]]) -> str:
    """Format names by kind, such as '2 missing (a, b); 1 unexpected (c)'; '' if there are none."""
    return '; '.join(f'{len(v)} {kind} ({few(v)})' for kind, v in kinds.items() if v)
