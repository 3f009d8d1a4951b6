"""The terminal that a tool prints to."""

import sys


def forgive() -> None:
    """Print '?' for letters that the terminal's encoding lacks, in place of an error.

    A file name or '→' must not end hours of work in a UnicodeEncodeError.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, 'reconfigure'):
            stream.reconfigure(errors='replace')
