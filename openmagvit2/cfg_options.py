"""Overrides on the command line: ``--cfg-options KEY=VALUE …``."""

import argparse
import ast
import re
from typing import Any

from openmagvit2.errors import UserError

# What `config/templates.py` fills in.
TEMPLATE = re.compile(
    r'\{\{\s*(?P<file>file(?:Dirname|BasenameNoExtension|Basename|Extname))\s*\}\}'
    r'|\{\{\s*_base_\.(?P<base>[\w.]+)\s*\}\}'
    r'|\{\{\s*(?P<quote>[\'"]?)\s*\$(?P<name>\w+)\s*:\s*(?P<default>[^\s{}]*?)\s*(?P=quote)\s*\}\}'
)
# What parsing raises: brackets that do not match, keys that are no plain values, bytes that are no
# text.
UNREADABLE = (SyntaxError, AssertionError, RecursionError, TypeError, ValueError)


class DictAction(argparse.Action):
    """What mmengine's action reads, and dicts too: ``custom_hooks="[dict(type='A', n=3)]"``.

    Inside of dicts values are written as in Python; a bare word is a string, as it is outside.
    """

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        """Add the values to the options; what cannot be read ends the program with the usage."""
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
    # Imports torch, which a tool's --help need not wait for.
    from mmengine.config import DictAction

    return DictAction


def parse_value(text: str) -> Any:
    """Parse the value of an override.

    Raises:
        UNREADABLE: Brackets do not match, a key is no plain value, or bytes are no text.
    """
    bare = TEMPLATE.sub('', text)
    if '{' in bare or 'dict(' in bare:
        return _value(ast.parse(text.strip(), mode='eval').body, text.strip())
    if any(sign in bare for sign in ',[('):
        return _mmengine()._parse_iterable(text)
    # mmengine takes out spaces, of paths too.
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
    """Turn dotted paths into nested dicts.

    Raises:
        UserError: One option is a value, another names a key below it.
    """
    result: dict = {}
    for path, value in options.items():
        node, (*parents, last) = result, path.split('.')
        for part in parents:
            node = node.setdefault(part, {})
            if not isinstance(node, dict):
                raise UserError(f'{path}: another override gives `{part}` a value; join the two.')
        node[last] = value
    return result
