"""What a tool prints at its end."""

import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def end(statement: str) -> subprocess.CompletedProcess:
    code = f'from openmagvit2 import console\nconsole.forgive()\n{statement}'
    program = [sys.executable, '-c', code]
    return subprocess.run(program, cwd=ROOT, capture_output=True, text=True)


def test_ctrl_c_is_one_line_and_a_bug_keeps_its_traceback():
    stopped = end('raise KeyboardInterrupt')
    # As a shell expects it, which then stops a loop of commands too.
    assert stopped.returncode == -signal.SIGINT and stopped.stderr == 'Stopped by Ctrl-C.\n'
    bug = end('1 / 0')
    assert bug.returncode == 1 and 'Traceback' in bug.stderr and 'ZeroDivisionError' in bug.stderr
