"""Fixtures and settings that all tests share."""

import os
import runpy
import sys
from pathlib import Path

import pytest

# Before torch is imported, also by child processes: with as many threads as processor cores in each
# of several processes, torch's threads wait for each other.
if workers := os.environ.get('PYTEST_XDIST_WORKER_COUNT'):
    os.environ.setdefault('OMP_NUM_THREADS', str(max(1, (os.cpu_count() or 1) // int(workers))))

TOOLS = Path(__file__).parents[1] / 'tools'


@pytest.fixture(scope='session', autouse=True)
def own_cache(tmp_path_factory):
    """Keep moments of reference sets away from the user's cache, in child processes too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('OPENMAGVIT2_CACHE', str(tmp_path_factory.mktemp('cache')))
        yield


@pytest.fixture
def tool(monkeypatch, capsys):
    """Call a tool in this process: its exit code, and what it printed on stdout and stderr."""

    def call(name: str, *arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, 'argv', [f'{name}.py', *map(str, arguments)])
        try:
            code = runpy.run_path(str(TOOLS / f'{name}.py'))['main']()
        except SystemExit as end:
            code = end.code
        return code, *capsys.readouterr()

    return call
