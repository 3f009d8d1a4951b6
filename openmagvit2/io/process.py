"""Whether the process that wrote a file is still alive."""

import os
import socket
from pathlib import Path

# There os.kill asks nothing: it ends a process, or interrupts all of a console.
WINDOWS = os.name == 'nt'


def host() -> str:
    """Return the name of this machine, without characters that file names cannot have."""
    return ''.join(c if c.isalnum() or c in '._' else '_' for c in socket.gethostname()) or 'host'


def started(pid: int) -> str | None:
    """Return the start of a process on this machine in ticks since boot; None if unknown."""
    try:
        stat = Path(f'/proc/{pid}/stat').read_text()
    except OSError:
        return None
    # The name in brackets may hold anything; the start is the 20th field after it.
    return stat.rpartition(')')[2].split()[19]


def alive(pid: int, start: str | None = None) -> bool:
    """Return whether a process on this machine is alive, or not known to be dead, as on Windows.

    Args:
        pid: Its number.
        start: Result of :func:`started` for the process; tells it from a later process with the
            same number.
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
