"""The terminal that a tool prints to."""

import sys
from types import TracebackType


def forgive() -> None:
    """Print '?' for characters that the terminal's encoding lacks, instead of failing, and one line
    for Ctrl-C.

    A file name or '→' must not end a long run with a UnicodeEncodeError.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, 'reconfigure'):
            stream.reconfigure(errors='replace')
    sys.excepthook = _told


def _told(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print an exception that ends the program; Ctrl-C is no bug, and has no traceback."""
    if issubclass(kind, KeyboardInterrupt):
        print('Stopped by Ctrl-C.', file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)
