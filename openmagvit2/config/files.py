"""Reading of config files, which are Python with templates (``templates.py``), and their bases."""

import ast
import copy
import difflib
import glob
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmengine.config import ConfigDict

from openmagvit2.config.templates import Filler, Templates
from openmagvit2.errors import UserError
from openmagvit2.io import reading, usable


def read_file(
    path: Path, join: Callable[[dict, dict, Path], dict], chain: tuple[Path, ...] = ()
) -> tuple[dict, set[str]]:
    """Read a file and its bases.

    Args:
        path: A Python file; its ``_base_`` is a path relative to it, or a list of them.
        join: Merges the content of a file into that of its bases; called once per file, bases
            first.
        chain: The files that have this one as a base.

    Returns:
        The content, and its variables: the top-level names that the code of the files reads after
        they were last written.

    Raises:
        UserError: The file is missing, cannot be parsed or is its own base, or two of its bases
            have the same key.
    """
    _check_path(path, chain)
    templates = Templates(_text(path), path)
    tree = _parse(templates)
    base: dict = {}
    variables: set[str] = set()
    for name in _take_bases(tree, templates):
        part, names = read_file(path.parent / name, join, (*chain, path.resolve()))
        twice = sorted(set(part) & set(base))
        if twice:
            raise UserError(f'{path}: `{twice[0]}` is in more than one of its _base_ files.')
        base.update(part)
        variables |= names
    filler = Filler(templates, base)
    written = _run(compile(filler.visit(tree), str(path), 'exec'), filler)
    variables = (variables | filler.keys) - set(written) | (filler.names & set(written))
    return join(base, written, path), variables


def _check_path(path: Path, chain: tuple[Path, ...]) -> None:
    if usable(path).is_dir():
        raise UserError(f'Config file {path} is a folder; name a file in it.')
    if not path.is_file():
        raise UserError(f'Config file {path} does not exist{_nearest(path)}')
    if path.suffix != '.py':
        raise UserError(f'Config file {path}: configs are Python files, whose names end in .py.')
    if path.resolve() in chain:
        raise UserError(f'Config file {path} is its own _base_.')


def _nearest(path: Path) -> str:
    """Return a question about the config that may be meant: a similar name in the folder, or the
    same name below ``configs/``.
    """
    beside = [str(found) for found in path.parent.glob('*.py') if found.exists()]
    near = difflib.get_close_matches(str(path), beside, n=1, cutoff=0.8)
    found = Path('configs').rglob(f'{glob.escape(path.stem)}.py')
    named = sorted(found, key=lambda path: (len(path.parts), path))
    near += [str(path) for path in named if '_base_' not in path.parts]
    return f'; did you mean {near[0]}?' if near else '.'


def _text(path: Path) -> str:
    try:
        with reading(path):
            return path.read_text(encoding='utf-8')
    except UnicodeDecodeError as error:
        raise UserError(f'Config file {path} is not UTF-8.') from error


def _parse(templates: Templates) -> ast.Module:
    path = templates.path
    try:
        tree = ast.parse(templates.text, filename=str(path))
    except SyntaxError as error:
        message = templates.restore(error.msg)
        raise UserError(f'Config file {path}, line {error.lineno}: {message}.') from error
    if any(isinstance(node, ast.alias) and node.name == 'read_base' for node in ast.walk(tree)):
        raise UserError(
            f'Config file {path} imports its bases with `read_base`; write their paths instead, '
            f"such as _base_ = ['../_base_/runtime.py']."
        )
    return tree


def _take_bases(tree: ast.Module, templates: Templates) -> list[str]:
    """Remove ``_base_`` from the tree, and return its value."""
    bases: list[str] = []
    for node in list(tree.body):
        if isinstance(node, ast.Assign) and getattr(node.targets[0], 'id', None) == '_base_':
            tree.body.remove(node)
            try:
                value = ast.literal_eval(Filler(templates, {}).visit(node.value))
            except ValueError as error:
                raise UserError(
                    f'Config file {templates.path}: _base_ must be a path or a list of paths.'
                ) from error
            bases = [value] if isinstance(value, str) else list(value)
    return bases


def _run(code: types.CodeType, filler: Filler) -> dict[str, Any]:
    """Run the code of a file; return its variables, without functions and modules."""
    # A single namespace, as in a module, so that functions of the file see its variables.
    space = dict(filler.values)
    if '_base_' in filler.names:
        space['_base_'] = ConfigDict(copy.deepcopy(filler.base))
    given = {*space, '_base_'}
    exec(code, space)
    return {
        name: _plain(value)
        for name, value in space.items()
        if not (name in given or name.startswith('__'))
        and not isinstance(value, (types.FunctionType, types.ModuleType))
    }


def _plain(value: Any) -> Any:
    """Copy as plain dicts, so that a value that is used twice can be changed in one place."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_plain(item) for item in value)
    return value
