"""What `pip install` installs on a machine without a clone."""

import os
import subprocess
import sys
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

import openmagvit2
from openmagvit2.apis import list_models

ROOT = Path(__file__).parents[1]
CODE = """
import openmagvit2
from openmagvit2.apis import init_model, list_models, model_info

assert '.mim' not in openmagvit2.__file__
model = init_model('lfq_256', device='meta')
print(sum(p.numel() for part in (model.encoder, model.decoder) for p in part.parameters()))
print(model_info('lfq_256')['official']['file'])
print(*list_models())
"""


@pytest.mark.slow
@pytest.mark.smoke
def test_a_wheel_has_configs_and_metafiles(tmp_path):
    source = tmp_path / 'source'
    source.mkdir()
    # A copy: the build writes beside its sources.
    for name in ('setup.py', 'pyproject.toml', 'README.md', 'openmagvit2', 'configs'):
        (source / name).symlink_to(ROOT / name)
    (source / 'requirements').symlink_to(ROOT / 'requirements')
    command = ['pip', 'wheel', '-q', '--no-deps', '--no-build-isolation', '-w', tmp_path, source]
    subprocess.run([sys.executable, '-m', *map(str, command)], check=True, cwd=tmp_path)
    (wheel,) = tmp_path.glob('*.whl')
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (metadata,) = (name for name in names if name.endswith('.dist-info/METADATA'))
        described = message_from_bytes(archive.read(metadata))
        archive.extractall(tmp_path / 'installed')
    assert described['Version'] == openmagvit2.__version__
    assert {'openmagvit2/py.typed', 'openmagvit2/.mim/configs/metafile.yml'} <= names
    assert not any('__pycache__' in name or name.startswith('tests/') for name in names)
    out = subprocess.run(
        [sys.executable, '-c', CODE],
        cwd=tmp_path,
        env=os.environ | dict(PYTHONPATH=str(tmp_path / 'installed')),
        capture_output=True,
        text=True,
        check=True,
    )
    count, file, listed = out.stdout.splitlines()[-3:]
    assert (count, file) == ('115127829', 'imagenet_256_L.ckpt')
    assert listed.split() == list_models()
