"""What a tool prints when it ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from openmagvit2 import console

ROOT = Path(__file__).parents[1]


def end(statement: str) -> subprocess.CompletedProcess:
    code = f'from openmagvit2 import console\nconsole.set_up_output()\n{statement}'
    program = [sys.executable, '-c', code]
    return subprocess.run(program, cwd=ROOT, capture_output=True, text=True)


def test_ctrl_c_is_one_line_and_a_bug_keeps_its_traceback():
    stopped = end('raise KeyboardInterrupt')
    # As a shell expects it, which then stops a loop of commands too.
    assert stopped.returncode == -signal.SIGINT and stopped.stderr == 'Stopped by Ctrl-C.\n'
    bug = end('1 / 0')
    assert bug.returncode == 1 and 'Traceback' in bug.stderr and 'ZeroDivisionError' in bug.stderr


@pytest.mark.parametrize('unbuffered', ['', '1'])
def test_a_closed_pipe_ends_a_tool_silently(unbuffered):
    code = 'import sys\nfrom openmagvit2 import console\n'
    code += 'sys.exit(console.tool()(lambda: print(1))())'
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, '-c', code],
        cwd=ROOT,
        env=os.environ | dict(PYTHONUNBUFFERED=unbuffered),
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writer)
    assert done.returncode == 128 + signal.SIGPIPE and not done.stderr.strip()


def test_an_error_of_the_system_keeps_its_traceback(monkeypatch):
    monkeypatch.setattr(sys, 'argv', ['a'])
    with pytest.raises(FileNotFoundError):
        console.tool()(lambda: open('nowhere'))()


def test_output_that_is_closed_or_on_a_full_disk():
    code = 'import sys\nfrom openmagvit2 import console\n'
    code += 'sys.exit(console.tool()(lambda: print(1))())'
    command = f'"{sys.executable}" -c "{code}"'
    for end, message, status in (
        ('>&-', '', 0),
        ('>/dev/full', 'error: the output cannot be written (No space left on device).', 1),
    ):
        done = subprocess.run(
            f'{command} {end}', shell=True, cwd=ROOT, capture_output=True, text=True
        )
        assert (done.returncode, done.stderr.strip()) == (status, message)


@pytest.mark.parametrize('stopped', ['', 'go on'])
def test_ctrl_c_while_torch_is_imported(stopped):
    code = f"""
import signal, sys, threading, os
from openmagvit2 import console

@console.tool({stopped!r})
def main():
    class Interrupting:
        def find_spec(self, name, path=None, target=None):
            if name == 'torch.nn':
                raise KeyboardInterrupt
    sys.meta_path.insert(0, Interrupting())
    import torch

console.finish(main())
"""
    done = subprocess.run(
        [sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    message = f'stopped; {stopped}' if stopped else 'Stopped by Ctrl-C.'
    assert done.stderr.strip() == message
    assert done.returncode in (130, -signal.SIGINT)
