"""The terminal that a tool prints to."""

import sys


def forgive() -> None:
    """Print '?' for characters that the terminal's encoding lacks, instead of failing.

    A file name or '→' must not end a long run with a UnicodeEncodeError.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, 'reconfigure'):
            stream.reconfigure(errors='replace')
