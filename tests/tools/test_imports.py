"""Imports of a tool before the package determine how its threads wait."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = sorted((Path(__file__).parents[2] / 'tools').glob('*.py'))


@pytest.mark.parametrize('tool', TOOLS, ids=lambda path: path.stem)
def test_openmagvit2_comes_before_whatever_imports_torch(tool):
    names = []
    for node in ast.parse(tool.read_text(encoding='utf-8')).body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names += (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module]
            )
    before = names[: next(i for i, name in enumerate(names) if name.startswith('openmagvit2'))]
    code = f'import sys, {", ".join(before)}; sys.exit("torch" in sys.modules)'
    assert subprocess.run([sys.executable, '-c', code], cwd=tool.parent).returncode == 0


def test_importing_the_package_sets_threads_to_sleep_and_keeps_what_the_user_set(monkeypatch):
    code = 'import openmagvit2, os; print(os.environ["OMP_WAIT_POLICY"])'
    for given, expected in ((None, 'PASSIVE'), ('ACTIVE', 'ACTIVE')):
        monkeypatch.delenv('OMP_WAIT_POLICY', raising=False)
        if given:
            monkeypatch.setenv('OMP_WAIT_POLICY', given)
        assert (
            subprocess.run(
                [sys.executable, '-c', code], capture_output=True, text=True
            ).stdout.strip()
            == expected
        )
