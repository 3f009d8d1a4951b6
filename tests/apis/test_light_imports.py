"""The front door and --help do not pull in what they do not need."""

import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / 'tools'
# Each takes a second or more, or is needed by few.
HEAVY = {'torchvision', 'torch_fidelity', 'transformers', 'matplotlib', 'timm', 'lpips'} | {
    'mmengine.runner',
    'mmengine.model',
    'torch.distributed.checkpoint',
}


@pytest.mark.parametrize(
    'code, heavy',
    [
        ('from openmagvit2.apis import Generator, Tokenizer, list_models; list_models()', HEAVY),
        (
            'import sys; sys.argv = ["train.py", "--help"]\n'
            f'sys.path.insert(0, {str(TOOLS)!r}); import train\n'
            'try: train.main()\nexcept SystemExit: pass',
            HEAVY | {'torch', 'mmengine'},
        ),
    ],
    ids=['front door', 'train --help'],
)
def test_imports_nothing_that_takes_long(code, heavy):
    code += '\nimport sys; print(*sys.modules, file=sys.stderr)'
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    imported = set(done.stderr.split())
    assert 'openmagvit2.errors' in imported and not imported & heavy
