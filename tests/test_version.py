"""The version is stated in one place."""

import re
from pathlib import Path

import openmagvit2

ROOT = Path(__file__).parents[1]


def test_version():
    assert re.fullmatch(r'\d+\.\d+\.\d+(\.dev\d+)?', openmagvit2.__version__)
    release = openmagvit2.__version__.partition('.dev')[0]
    assert re.search(rf'^## {re.escape(release)}\b', (ROOT / 'CHANGELOG.md').read_text(), re.M)
    for file in ('setup.py', 'CITATION.cff', 'openmagvit2/__init__.py'):
        assert not re.search(r'\b0\.[12]\.0\b', (ROOT / file).read_text()), file
