"""Parse overrides on the command line: ``--cfg-options KEY=VALUE …``."""

import argparse
import ast
import re
from typing import Any

from openmagvit2.errors import UserError

# Templates, which `config/templates.py` fills in.
TEMPLATE = re.compile(
    r'\{\{\s*(?P<file>file(?:Dirname|BasenameNoExtension|Basename|Extname))\s*\}\}'
    r'|\{\{\s*_base_\.(?P<base>[\w.]+)\s*\}\}'
    r'|\{\{\s*(?P<quote>[\'"]?)\s*\$(?P<name>\w+)\s*:\s*(?P<default>[^\s{}]*?)\s*(?P=quote)\s*\}\}'
)
# Exceptions for unmatched brackets, keys that are not plain values, and invalid text.
UNREADABLE = (SyntaxError, AssertionError, RecursionError, TypeError, ValueError)


class DictAction(argparse.Action):
    """mmengine's action, extended by dicts: ``custom_hooks="[dict(type='A', n=3)]"``.

    Values in dicts are written as in Python; a bare word is a string, as elsewhere.
    """

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        """Add the values to the options; an invalid one ends the program with the usage."""
        options = dict(getattr(namespace, self.dest, None) or {})
        for pair in values:
            key, sign, text = pair.partition('=')
            if not sign or not key:
                raise argparse.ArgumentError(self, f'{pair!r} is not of the form KEY=VALUE')
            try:
                options[key] = parse_value(text)
            except UNREADABLE as error:
                message = f'{key}: {text!r} cannot be read; write lists and dicts as in Python'
                raise argparse.ArgumentError(self, message) from error
        setattr(namespace, self.dest, options)


# Arguments of a command line, as ``parser.add_argument('--cfg-options', help=…, **OPTIONS)``.
OPTIONS: dict[str, Any] = dict(nargs='+', action=DictAction, default={})


def _mmengine() -> type:
    # This imports torch, for which --help should not wait.
    from mmengine.config import DictAction

    return DictAction


def parse_value(text: str) -> Any:
    """Parse the value of an override.

    Raises:
        UNREADABLE: The text is invalid.
    """
    bare = TEMPLATE.sub('', text)
    if '{' in bare or 'dict(' in bare:
        return _value(ast.parse(text.strip(), mode='eval').body, text.strip())
    if any(sign in bare for sign in ',[('):
        return _mmengine()._parse_iterable(text)
    # mmengine's other function removes spaces, also in paths.
    return _mmengine()._parse_int_float_bool(text.strip('\'"'))


def _value(node: ast.AST, text: str) -> Any:
    if isinstance(node, (ast.List, ast.Tuple)):
        kind = list if isinstance(node, ast.List) else tuple
        return kind(_value(item, text) for item in node.elts)
    if isinstance(node, ast.Dict):
        keys = [_value(key, text) for key in node.keys]
        return dict(zip(keys, (_value(value, text) for value in node.values), strict=True))
    if isinstance(node, ast.Call):
        plain = isinstance(node.func, ast.Name) and node.func.id == 'dict' and not node.args
        if not plain or not all(keyword.arg for keyword in node.keywords):
            raise SyntaxError('a call')
        return {keyword.arg: _value(keyword.value, text) for keyword in node.keywords}
    if isinstance(node, ast.Constant):
        return node.value
    return _mmengine()._parse_int_float_bool(ast.get_source_segment(text, node))


def nest(options: dict[str, Any]) -> dict:
    """Convert options with dotted paths to nested dicts.

    Raises:
        UserError: One option sets a value, and another a key below it.
    """
    result: dict = {}
    for path, value in options.items():
        node, (*parents, last) = result, path.split('.')
        for part in parents:
            node = node.setdefault(part, {})
            if not isinstance(node, dict):
                raise UserError(f'{path}: another override sets `{part}`; combine the two.')
        if last in node:
            raise UserError(f'{path}: another override sets a key below it; combine the two.')
        node[last] = value
    return result
