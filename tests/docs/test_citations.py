"""Citations of the specification name existing sections."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = 'docs/reference/specification.md'


def test_cited_sections_exist():
    headings = re.findall(r'^## (.+)$', (ROOT / PAGE).read_text(), re.MULTILINE)
    count = 0
    for folder in ('openmagvit2', 'tools', 'configs', 'tests'):
        for path in (ROOT / folder).rglob('*.py'):
            text = re.sub(r'\n\s*(?:# )?', ' ', path.read_text())
            for cited in re.findall(rf'{re.escape(PAGE)}, (.{{40}})', text):
                count += 1
                assert cited.startswith(tuple(headings)), (path, cited)
    assert count > 10
