"""The API and --help import no packages that they do not need."""

import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = sorted((Path(__file__).parents[2] / 'tools').glob('*.py'))
# Each takes a second or more, or few users need it.
HEAVY = {'torchvision', 'torch_fidelity', 'transformers', 'matplotlib', 'timm', 'lpips'} | {
    'mmengine.runner',
    'mmengine.model',
    'torch.distributed.checkpoint',
}


def imported_by(code: str) -> set[str]:
    code += '\nimport sys; print(*sys.modules, file=sys.stderr)'
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


def test_the_api_imports_nothing_that_few_need():
    found = imported_by(
        'from openmagvit2.apis import Generator, Tokenizer, list_models; list_models()'
    )
    assert 'openmagvit2.errors' in found and not found & HEAVY


@pytest.mark.parametrize('tool', TOOLS, ids=lambda tool: tool.stem)
def test_help_imports_nothing_that_takes_long(tool):
    found = imported_by(
        f'import runpy, sys; sys.argv = [{tool.name!r}, "--help"]\n'
        f'sys.path.insert(0, {str(tool.parent)!r})\n'
        f'try: runpy.run_path({str(tool)!r}, run_name="__main__"); raise AssertionError\n'
        'except SystemExit as end: assert not end.code'
    )
    assert 'openmagvit2.console' in found
    assert not found & (HEAVY | {'torch', 'mmengine', 'numpy'})
