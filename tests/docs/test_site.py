"""The site of docs/: every page is in the navigation and linked from the index, links work, and
zensical builds it strictly.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCS = ROOT / 'docs'
PAGES = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob('*.md')}


def listed(entry) -> list[str]:
    if isinstance(entry, str):
        return [entry]
    parts = entry.values() if isinstance(entry, dict) else entry
    return [page for part in parts for page in listed(part)]


def test_every_page_is_in_the_navigation_and_linked_from_the_index():
    assert sorted(listed(yaml.safe_load((ROOT / 'mkdocs.yml').read_text())['nav'])) == sorted(PAGES)
    linked = re.findall(r'\]\(([\w/]+\.md)\)', (DOCS / 'index.md').read_text())
    assert set(linked) == PAGES - {'index.md'} and len(linked) == len(set(linked))


@pytest.mark.parametrize('page', sorted(PAGES))
def test_links_lead_somewhere_within_docs(page):
    """A site has nothing from outside of docs/."""
    text = re.sub(r'```.*?```|`[^`\n]*`', '', (DOCS / page).read_text(), flags=re.S)
    for link in re.findall(r'\]\(([^)\s]+)\)', text):
        if '://' not in link and not link.startswith('#'):
            target = (DOCS / page).parent / link.partition('#')[0]
            assert target.resolve().is_relative_to(DOCS) and target.exists(), (page, link)


def test_named_parts_of_the_api_are_there():
    import importlib

    for name in re.findall(r'^::: ([\w.]+)$', (DOCS / 'reference' / 'api.md').read_text(), re.M):
        parts, found = name.split('.'), None
        for i in range(len(parts), 0, -1):
            try:
                found = importlib.import_module('.'.join(parts[:i]))
            except ModuleNotFoundError:
                continue
            for part in parts[i:]:
                found = getattr(found, part)
            break
        assert found is not None and found.__doc__, name


@pytest.mark.slow
def test_a_broken_link_fails_the_build(tmp_path):
    zensical = shutil.which('zensical') or shutil.which(
        'zensical', path=Path(sys.executable).parent
    )
    if zensical is None:
        pytest.skip('needs pip install -e ".[docs]"')
    for name in ('docs', 'openmagvit2', 'tools/pages'):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns('__pycache__'))
    shutil.copy(ROOT / 'mkdocs.yml', tmp_path)

    def build() -> subprocess.CompletedProcess:
        command = [zensical, 'build', '--strict', '--clean']
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    done = build()
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    api = (tmp_path / 'site' / 'reference' / 'api' / 'index.html').read_text()
    assert 'read_image' in api and ':meth:' not in api and ':class:' not in api
    with open(tmp_path / 'docs' / 'pipeline.md', 'a') as page:
        page.write('\n[nowhere](nowhere.md)\n')
    assert build().returncode != 0
