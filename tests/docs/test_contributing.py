"""Everything that CONTRIBUTING.md refers to exists."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / 'CONTRIBUTING.md').read_text()


def defined(tree: ast.AST, name: str) -> ast.AST | None:
    return next((node for node in ast.iter_child_nodes(tree) if _name(node) == name), None)


def _name(node: ast.AST) -> str | None:
    return getattr(node, 'name', None)


def test_walks_of_at_most_twelve_stops_that_exist():
    walks = TEXT.partition('## Three walkthroughs')[2].split('\n**')[1:]
    assert len(walks) == 3
    for walk in walks:
        stops = re.findall(r'^\d+\. `([\w/.]+\.py):([\w.]+)`', walk, re.MULTILINE)
        assert 5 < len(stops) <= 12
        assert len(stops) == len(re.findall(r'^\d+\. ', walk, re.MULTILINE))
        for file, place in stops:
            node = ast.parse((ROOT / file).read_text())
            for name in place.split('.'):
                node = defined(node, name)
                assert node is not None, f'{file}:{place}'


def test_walks_never_go_back_up_a_floor():
    floors = ('tools', 'workflows', 'apis', 'models datasets engine evaluation', 'checkpoint io')
    for walk in TEXT.partition('## Three walkthroughs')[2].split('\n**')[1:]:
        folders = re.findall(r'^\d+\. `(?:openmagvit2/)?(\w+)/', walk, re.MULTILINE)
        heights = [i for name in folders for i, floor in enumerate(floors) if name in floor.split()]
        assert len(heights) == len(folders) and heights == sorted(heights)


def test_examples_are_quoted_from_the_code():
    examples = re.findall(r'\(`([\w/.]+\.py)`\):\n\n```python\n(.+?)```', TEXT, re.DOTALL)
    assert len(examples) == 3
    for file, code in examples:
        assert code in (ROOT / file).read_text(), file


def test_named_files_are_there():
    for path in re.findall(
        r'`((?:openmagvit2|configs|tests|docs|tools)/[\w/.]+\.(?:py|md|yml))', TEXT
    ):
        assert (ROOT / path).is_file(), path
