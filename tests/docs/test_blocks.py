"""Every block of the guides runs: Python, and shell commands unless a comment above says what they
need.

``<!-- needs: data -->`` (or hub, gpus, time) above a block leaves it out.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
# docs/extend.md has tests of its own.
PAGES = [
    path.relative_to(ROOT).as_posix()
    for path in [ROOT / 'README.md', *sorted((ROOT / 'docs').rglob('*.md'))]
    if path.name != 'extend.md'
]
BLOCK = re.compile(
    r'(?:<!-- needs: (\w+) -->\n\n)?'
    r'(?:```python\n(.*?)```|(^ {4}[^\n]*\n(?: {4}[^\n]*\n|\n(?= {4}))*))',
    re.DOTALL | re.MULTILINE,
)
COMMANDS = re.compile(r'(?:[A-Z0-9_]+=\S+ )*(?:python|bash|mkdir|cat|pip|docker)\b')
NEEDS = ('data', 'gpus', 'hub', 'time')
# What the blocks of a page use: the package that it needs and the extra that installs that.
PACKAGES = {'pyarrow': ('datasets', 'hf'), 'TensorboardVisBackend': ('tensorboard', 'optional')}
# Trainings that a page speaks of and another page shows.
GIVEN = {'docs/guides/checkpoints.md': ['lfq_32']}


def blocks(page: str) -> list[tuple[str | None, str, str]]:
    """Return what each block needs, its language and its text, in the order of the page."""
    found = []
    for need, python, indented in BLOCK.findall((ROOT / page).read_text()):
        text = python or re.sub(r'^ {4}', '', indented, flags=re.M)
        if python or COMMANDS.match(text):
            found.append((need or None, 'python' if python else 'shell', text))
    return found


def runnable(page: str) -> list[tuple[str, str]]:
    return [(language, text) for need, language, text in blocks(page) if need is None]


def test_blocks_are_found_and_marks_are_known():
    every = [block for page in PAGES for block in blocks(page)]
    assert {need for need, _, _ in every} <= {None, *NEEDS}
    assert sum(need is None for need, _, _ in every) >= 15
    marks = sum((ROOT / page).read_text().count('<!-- needs: ') for page in PAGES)
    assert marks == sum(need is not None for need, _, _ in every)


def test_commands_that_run_have_no_placeholders():
    words = re.compile(
        r'(?<!\w)(CONFIG|CKPT|CHECKPOINT|IMAGE|FOLDER|DIR|FILE|SRC|DST|WORK_DIR)(?!\w)'
    )
    named = {page: words.findall(text) for page in PAGES for _, text in runnable(page)}
    assert not any(named.values()), named


def run(language: str, text: str, folder: Path) -> None:
    program = [sys.executable, '-c'] if language == 'python' else ['bash', '-euo', 'pipefail', '-c']
    path = f'{Path(sys.executable).parent}{os.pathsep}{os.environ["PATH"]}'
    environment = dict(
        os.environ, PYTHONPATH=str(ROOT), PATH=path, MPLBACKEND='Agg', HF_HOME=str(folder / 'hf')
    )
    done = subprocess.run(
        [*program, text], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, f'{text}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}'


@pytest.mark.slow
@pytest.mark.parametrize('page', [page for page in PAGES if runnable(page)])
def test_a_page_runs_from_top_to_bottom(page, tmp_path):
    program = '\n'.join(text for _, text in runnable(page))
    for word, (package, extra) in PACKAGES.items():
        if word in program:
            pytest.importorskip(package, reason=f'needs pip install "openmagvit2[{extra}]"')
    for name in ('configs', 'tools'):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns('__pycache__'))
    Image.new('RGB', (32, 32), 'teal').save(tmp_path / 'image.png')
    for config in GIVEN.get(page, []):
        run('shell', f'python tools/train.py configs/tiny/{config}.py', tmp_path)
    for language, text in runnable(page):
        run(language, text, tmp_path)
