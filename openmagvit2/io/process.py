"""Check whether the process that wrote a file is alive."""

import os
import socket
from pathlib import Path

# On Windows, os.kill does not just check: it ends a process, or interrupts those of a console.
WINDOWS = os.name == 'nt'


def host() -> str:
    """Return the name of this machine without characters that are not allowed in file names."""
    return ''.join(c if c.isalnum() or c in '._' else '_' for c in socket.gethostname()) or 'host'


def started(pid: int) -> str | None:
    """Return the start time of a process in clock ticks since boot; None if unknown."""
    try:
        stat = Path(f'/proc/{pid}/stat').read_text()
    except OSError:
        return None
    # The name in parentheses may contain anything; the start time is the 20th field after it.
    return stat.rpartition(')')[2].split()[19]


def alive(pid: int, start: str | None = None) -> bool:
    """Return whether a process on this machine is alive; on Windows, always True.

    Args:
        pid: Number of the process.
        start: Result of :func:`started` for the process, to exclude a later one with this number.
    """
    if WINDOWS:
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    now = started(pid)
    return start is None or now is None or now == start
