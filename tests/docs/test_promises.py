"""Each guarantee of docs/reference/promises.md names tests that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = ('docs/reference/promises.md', 'SECURITY.md')


def named(page: str) -> list[tuple[str, str]]:
    """(file, test) of a page; a bare test of SECURITY.md is in tests/test_hostile.py."""
    found = re.findall(r'`(?:(tests/[\w/]+\.py)(?:::)?)?(test_\w+)?`', (ROOT / page).read_text())
    return [(file or 'tests/test_hostile.py', test) for file, test in found if file or test]


@pytest.mark.parametrize('page', PAGES)
def test_named_tests_exist(page):
    tests = named(page)
    assert len(tests) > 10
    for file, test in tests:
        assert (ROOT / file).is_file(), file
        assert f'\ndef {test}' in (ROOT / file).read_text(), f'{file}::{test}'


def test_each_guarantee_has_a_test():
    rows = [
        line
        for line in (ROOT / PAGES[0]).read_text().splitlines()
        if line.startswith('| ') and not line.startswith('| guarantee')
    ]
    assert len(rows) > 25
    for row in rows:
        assert row.count('|') == 5 and '::test_' in row.split('|')[4], row[:80]
