"""Whether the process that wrote something still lives."""

import os
import socket
from pathlib import Path


def host() -> str:
    """The name of this machine, without characters that file names lack."""
    return ''.join(c if c.isalnum() or c in '._' else '_' for c in socket.gethostname()) or 'host'


def started(pid: int) -> str | None:
    """When a process of this machine was started, in ticks since the boot; None where that is not
    known.
    """
    try:
        stat = Path(f'/proc/{pid}/stat').read_text()
    except OSError:
        return None
    # The name in brackets may hold anything; the start is the 20th field after it.
    return stat.rpartition(')')[2].split()[19]


def alive(pid: int, start: str | None = None) -> bool:
    """Whether a process of this machine lives.

    Args:
        pid: Its number.
        start: What :func:`started` gave for it; another process that got the number later is
            another one.
    """
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    now = started(pid)
    return start is None or now is None or now == start
