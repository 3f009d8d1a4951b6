"""Fixtures and settings that all tests share."""

import runpy
import sys
from pathlib import Path

import pytest

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
