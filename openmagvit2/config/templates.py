"""Templates in the text of a config file, with mmengine's syntax.

==============================  ====================================================
``{{ fileDirname }}``           folder of the file, absolute
``{{ fileBasename }}``          its name
``{{ fileBasenameNoExtension }}``  its name without the extension
``{{ fileExtname }}``           its extension, such as ``.py``
``{{$NAME:default}}``           an environment variable
``{{_base_.model.encoder}}``    a value of the bases; without braces in Python code too
==============================  ====================================================

Inside quotes, a template becomes text, except that a ``_base_`` value that is the whole string
keeps its type. Outside quotes, it is a value: an environment variable is parsed as a Python literal
if it is one. Values are inserted after parsing, so they may contain quotes and backslashes.
"""

import ast
import copy
import os
import re
from pathlib import Path
from typing import Any

from openmagvit2.cfg_options import TEMPLATE
from openmagvit2.errors import UserError

MARK = re.compile(r'_template_(\d+)_')


class Templates:
    """A text in which each template is replaced by a mark, a name that Python can parse.

    Attributes:
        text: The text with the marks.
        found: The templates, indexed by the number of their mark.
        path: The file, for ``{{ fileDirname }}`` and its like, and for errors.
    """

    def __init__(self, text: str, path: Path) -> None:
        self.path = path
        self.found: list[re.Match] = []
        self.text = TEMPLATE.sub(self._mark, text)

    def _mark(self, match: re.Match) -> str:
        self.found.append(match)
        # Newlines are kept, so that line numbers stay correct.
        return f'_template_{len(self.found) - 1}_' + '\n' * match[0].count('\n')

    def restore(self, text: str) -> str:
        """Return the text as the user wrote it, for messages."""
        return MARK.sub(lambda match: self.found[int(match[1])][0], text)


class Filler(ast.NodeTransformer):
    """Replace the marks in parsed code or in a text, and record what the code reads.

    Attributes:
        values: Values by the names that replace them in the code.
        names: Names that the code reads.
        keys: Top-level keys of the bases that templates or the code read.
    """

    def __init__(self, templates: Templates, base: dict) -> None:
        self.found, self.path, self.base = templates.found, templates.path, base
        self.values: dict[str, Any] = {}
        self.names: set[str] = set()
        self.keys: set[str] = set()

    def fill(self, text: str) -> Any:
        """Replace the marks in a string; a lone ``_base_`` value keeps its type."""
        whole = MARK.fullmatch(text)
        if whole and self.found[int(whole[1])]['base']:
            return self.value(int(whole[1]))
        return MARK.sub(lambda match: str(self._raw(self.found[int(match[1])])), text)

    def value(self, number: int) -> Any:
        """Return the value of a template outside quotes."""
        match = self.found[number]
        raw = self._raw(match)
        if match['name'] is None:
            return raw
        try:
            return ast.literal_eval(raw)
        except (ValueError, SyntaxError):
            return raw

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        """Leave docstrings unchanged, because they may mention templates."""
        return node if isinstance(node.value, ast.Constant) else self.generic_visit(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        """Replace the marks in the literal parts of an f-string, and visit the others."""
        for part in node.values:
            if isinstance(part, ast.Constant):
                part.value = str(self.fill(part.value))
            else:
                self.visit(part)
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        """Replace the marks in a string; a value of another type is replaced by a name."""
        if not isinstance(node.value, str) or not MARK.search(node.value):
            return node
        value = self.fill(node.value)
        if isinstance(value, str):
            return ast.copy_location(ast.Constant(value), node)
        name = f'_value_{len(self.values)}_'
        self.values[name] = value
        return ast.copy_location(ast.Name(name, ast.Load()), node)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        """Record the value of a mark, or a name that the code reads."""
        if match := MARK.fullmatch(node.id):
            self.values[node.id] = self.value(int(match[1]))
        elif isinstance(node.ctx, ast.Load):
            self.names.add(node.id)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        """Record a key of ``_base_`` that the code reads."""
        if isinstance(node.value, ast.Name) and node.value.id == '_base_':
            self.keys.add(node.attr)
        return self.generic_visit(node)

    def _raw(self, match: re.Match) -> Any:
        """Return the value of a template: a string, except for a value of the bases."""
        if match['file']:
            return self._file(match['file'])
        if match['name']:
            return self._environment(match['name'], match['default'])
        node: Any = self.base
        for part in match['base'].split('.'):
            if isinstance(node, (list, tuple)) and part.isdecimal() and int(part) < len(node):
                node = node[int(part)]
            elif isinstance(node, dict) and part in node:
                node = node[part]
            else:
                raise UserError(f'Config file {self.path}: {match[0]}: no _base_ has `{part}`.')
        self.keys.add(match['base'].split('.')[0])
        return copy.deepcopy(node)

    def _file(self, name: str) -> str:
        path = Path(os.path.abspath(self.path))
        return dict(
            fileDirname=path.parent.as_posix(),
            fileBasename=path.name,
            fileBasenameNoExtension=path.stem,
            fileExtname=path.suffix,
        )[name]

    def _environment(self, name: str, default: str) -> str:
        value = os.environ.get(name) or default
        if not value:
            raise UserError(
                f'Config file {self.path}: the environment variable {name} is not set and has no '
                f'default; set it, or write {{{{${name}:default}}}}.'
            )
        return value


def fill_options(options: dict[str, Any], content: dict, path: Path) -> dict[str, Any]:
    """Replace the templates in overrides as in the file, whose content is ``_base_``."""

    def filled(value: Any) -> Any:
        """Replace the templates in all strings of a value; containers keep their types."""
        if isinstance(value, dict):
            return {key: filled(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(filled(item) for item in value)
        if not isinstance(value, str):
            return value
        templates = Templates(value, path)
        filler = Filler(templates, content)
        lone = MARK.fullmatch(templates.text)
        return filler.value(0) if lone else filler.fill(templates.text)

    return filled(options)
