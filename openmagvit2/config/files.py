"""Reading of one config file: Python, with mmengine's templates and ``_base_``.

==============================  ====================================================
``{{ fileDirname }}``           folder of the file, absolute
``{{ fileBasename }}``          its name
``{{ fileBasenameNoExtension }}``  its name without the ending
``{{ fileExtname }}``           its ending, as ``.py``
``{{$NAME:default}}``           an environment variable
``{{_base_.model.encoder}}``    a value of the bases; without braces in Python code too
==============================  ====================================================

Inside quotes a template becomes text; a template of a ``_base_`` value that is the whole string
keeps its type. Outside of quotes it is a value: an environment variable is parsed as a Python
literal if it is one. Values are inserted after parsing, so they may contain quotes and backslashes.
"""

import ast
import copy
import difflib
import glob
import os
import re
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmengine.config import ConfigDict

from openmagvit2.cfg_options import TEMPLATE
from openmagvit2.errors import UserError
from openmagvit2.io import reading, usable

MARK = re.compile(r'_template_(\d+)_')


class Templates:
    """The templates of a text, each replaced by a name that Python can parse.

    Attributes:
        text: The text with a name for each template.
        base: Content of the bases; None if not yet known.
        read: Top-level names of the bases that were read.
    """

    def __init__(self, text: str, path: Path) -> None:
        self.path = path
        self.base: dict | None = None
        self.read: set[str] = set()
        self._found: list[re.Match] = []
        self.text = TEMPLATE.sub(self._mark, text)

    def _mark(self, match: re.Match) -> str:
        self._found.append(match)
        # Lines keep their numbers.
        return f'_template_{len(self._found) - 1}_' + '\n' * match[0].count('\n')

    def fill(self, text: str) -> Any:
        """Fill the templates in a string; a lone ``_base_`` value keeps its type."""
        whole = MARK.fullmatch(text)
        if whole and self._found[int(whole[1])]['base']:
            return self.value(int(whole[1]))
        return MARK.sub(lambda match: str(self._raw(self._found[int(match[1])])), text)

    def value(self, number: int) -> Any:
        """Return the value of a template outside of quotes."""
        match = self._found[number]
        raw = self._raw(match)
        if match['name'] is None:
            return raw
        try:
            return ast.literal_eval(raw)
        except (ValueError, SyntaxError):
            return raw

    def restore(self, text: str) -> str:
        """Return the text as the user wrote it, for messages."""
        return MARK.sub(lambda match: self._found[int(match[1])][0], text)

    def _raw(self, match: re.Match) -> Any:
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
        self.read.add(match['base'].split('.')[0])
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


class _Fill(ast.NodeTransformer):
    """Replace the names by values, and record which names the code reads."""

    def __init__(self, templates: Templates) -> None:
        self.templates = templates
        self.values: dict[str, Any] = {}
        self.read: set[str] = set()

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        """Leave docstrings as they are, which may mention templates."""
        return node if isinstance(node.value, ast.Constant) else self.generic_visit(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        """Fill the fixed parts of an f-string, and visit the others."""
        for part in node.values:
            if isinstance(part, ast.Constant):
                part.value = str(self.templates.fill(part.value))
            else:
                self.visit(part)
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        """Fill a string; a value of another type becomes a name that stands for it."""
        if not isinstance(node.value, str) or not MARK.search(node.value):
            return node
        value = self.templates.fill(node.value)
        if isinstance(value, str):
            return ast.copy_location(ast.Constant(value), node)
        name = f'_value_{len(self.values)}_'
        self.values[name] = value
        return ast.copy_location(ast.Name(name, ast.Load()), node)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        """Give a template's value to its name, and record a name that the code reads."""
        if match := MARK.fullmatch(node.id):
            self.values[node.id] = self.templates.value(int(match[1]))
        elif isinstance(node.ctx, ast.Load):
            self.read.add(node.id)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        """Record a key of ``_base_`` that the code reads."""
        if isinstance(node.value, ast.Name) and node.value.id == '_base_':
            self.templates.read.add(node.attr)
        return self.generic_visit(node)


def read_file(
    path: Path, join: Callable[[dict, dict, Path], dict], chain: tuple[Path, ...] = ()
) -> tuple[dict, set[str]]:
    """Read a file and its bases.

    Args:
        path: A Python file; ``_base_`` in it names files relative to it, one or a list.
        join: Merges the content of a file into that of its bases; called once a file, inner first.
        chain: The files that have this one as a base.

    Returns:
        The content, and its variables: the top-level names that the code of the files reads after
        they were last written.

    Raises:
        UserError: The file is missing, does not parse, is its own base, or two of its bases have
            the same key.
    """
    templates, tree = _parse(path, chain)
    base: dict = {}
    variables: set[str] = set()
    for name in _bases(tree, templates):
        part, names = read_file(path.parent / name, join, (*chain, path.resolve()))
        twice = sorted(set(part) & set(base))
        if twice:
            raise UserError(f'{path}: `{twice[0]}` is in more than one of its _base_ files.')
        base.update(part)
        variables |= names
    templates.base = base
    fill = _Fill(templates)
    code = compile(fill.visit(tree), str(path), 'exec')
    # One namespace, as of a module: functions of the file see its variables.
    space = dict(fill.values)
    if '_base_' in fill.read:
        space['_base_'] = ConfigDict(copy.deepcopy(base))
    given = {*space, '_base_', '__builtins__'}
    exec(code, space)
    written = {name: value for name, value in space.items() if _is_key(name, value, given)}
    variables = (variables | templates.read) - set(written) | (fill.read & set(written))
    return join(base, _plain(written), path), variables


def fill_options(options: dict[str, Any], content: dict, path: Path) -> dict[str, Any]:
    """Fill the templates of overrides as in the file itself, with its content as ``_base_``."""

    def filled(value: Any) -> Any:
        """Return a value with the strings in it filled; its containers keep their types."""
        if isinstance(value, dict):
            return {key: filled(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(filled(item) for item in value)
        if not isinstance(value, str):
            return value
        templates = Templates(value, path)
        templates.base = content
        whole = MARK.fullmatch(templates.text)
        return templates.value(0) if whole else templates.fill(templates.text)

    return filled(options)


def _text(path: Path) -> str:
    try:
        with reading(path):
            return path.read_text(encoding='utf-8')
    except UnicodeDecodeError as error:
        raise UserError(f'Config file {path} is not written in UTF-8.') from error


def _parse(path: Path, chain: tuple[Path, ...]) -> tuple[Templates, ast.Module]:
    if usable(path).is_dir():
        raise UserError(f'Config file {path} is a folder; name a file in it.')
    if not path.is_file():
        raise UserError(f'Config file {path} does not exist{_nearest(path)}')
    if path.suffix != '.py':
        raise UserError(f'Config file {path}: configs are Python files, their names end in .py.')
    if path.resolve() in chain:
        raise UserError(f'Config file {path} is its own _base_.')
    templates = Templates(_text(path), path)
    try:
        tree = ast.parse(templates.text, filename=str(path))
    except SyntaxError as error:
        message = templates.restore(error.msg)
        raise UserError(f'Config file {path}, line {error.lineno}: {message}.') from error
    imports = 'read_base' in templates.text and ast.walk(tree)
    if any(isinstance(node, ast.alias) and node.name == 'read_base' for node in imports or ()):
        raise UserError(
            f'Config file {path} imports its bases with `read_base`; name their files instead, as '
            f"_base_ = ['../_base_/runtime.py']."
        )
    return templates, tree


def _nearest(path: Path) -> str:
    """Return the question for a config that may be meant: the nearest of the folder, or one below
    ``configs/`` of that name.
    """
    beside = [str(found) for found in path.parent.glob('*.py') if found.exists()]
    near = difflib.get_close_matches(str(path), beside, n=1, cutoff=0.8)
    found = Path('configs').rglob(f'{glob.escape(path.stem)}.py')
    named = sorted(found, key=lambda path: (len(path.parts), path))
    near += [str(path) for path in named if '_base_' not in path.parts]
    return f'; did you mean {near[0]}?' if near else '.'


def _bases(tree: ast.Module, templates: Templates) -> list[str]:
    """Return the value of ``_base_`` and remove it from the tree."""
    bases: list[str] = []
    for node in list(tree.body):
        if isinstance(node, ast.Assign) and getattr(node.targets[0], 'id', None) == '_base_':
            tree.body.remove(node)
            try:
                value = ast.literal_eval(_Fill(templates).visit(node.value))
            except ValueError as error:
                raise UserError(
                    f'Config file {templates.path}: _base_ must be a name or a list of names.'
                ) from error
            bases = [value] if isinstance(value, str) else list(value)
    return bases


def _is_key(name: str, value: Any, given: set[str]) -> bool:
    code = isinstance(value, (types.FunctionType, types.ModuleType))
    return name not in given and not name.startswith('__') and not code


def _plain(value: Any) -> Any:
    """Copy as plain dicts, so that a value used twice in a file can change in one place only."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_plain(item) for item in value)
    return value
