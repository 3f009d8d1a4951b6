"""Loading of configs, checked overrides, and the change of a ``type``.

One function merges dicts for all: a child file into its ``_base_``, and ``--cfg-options`` into a
file. Where a ``type`` changes, inherited keys that the new class does not accept are dropped with a
printed line; keys written together with the new type are never dropped. ``config_file.py`` reads
files, ``config_options.py`` the command line, ``config_check.py`` knows the keys.
"""

import importlib
import logging
import sys
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.config.config import RESERVED_KEYS
from mmengine.logging import print_log

from openmagvit2 import registry
from openmagvit2.config_check import (
    DATALOADER,
    TOP_LEVEL,
    arguments,
    check,
    is_suspicious,
    known_below,
    unknown,
)
from openmagvit2.config_file import fill_options, read_file
from openmagvit2.config_options import DictAction, nest
from openmagvit2.errors import UserError

__all__ = ['DictAction', 'check', 'load_config', 'merge']

# A training has one length: giving one takes the place of the other that was inherited.
LENGTHS = dict(max_iters='max_epochs', max_epochs='max_iters')


def load_config(path: str | Path, options: dict[str, Any] | None = None) -> Config:
    """Load a config file with its bases, merge overrides, and check every key.

    Args:
        path: A Python config file; ``_base_`` names files relative to it.
        options: Overrides by dotted path, as ``--cfg-options`` gives them.

    Raises:
        UserError: The file is missing or does not parse; a key is unknown (the text names the
            nearest known one).
    """
    path = Path(path)
    content, variables = read_file(path, _join)
    content = _without_used(content, variables)
    if options:
        options = fill_options(options, content, path)
        _check_paths(content, options, variables)
        content = merge(content, nest(options))
    for key in RESERVED_KEYS:
        if key in content:
            raise UserError(f'Config file {path}: mmengine keeps the name `{key}` for itself.')
    content = _without_delete(content)
    config = Config(content, filename=str(path))
    config.setdefault('default_scope', registry.SCOPE)
    check(config.to_dict())
    return config


def merge(base: dict, child: dict, path: str = '') -> dict:
    """``child`` into a copy of ``base``, dict by dict.

    ``_delete_=True`` in a dict of the child forgets the inherited one.
    """
    if child.get('_delete_'):
        return {key: value for key, value in child.items() if key != '_delete_'}
    result = dict(base)
    old, new = base.get('type'), child.get('type')
    if old is not None and new is not None and old != new:
        result = _keep_accepted(base, new, path)
    for key, value in child.items():
        here = f'{path}.{key}' if path else key
        inherited = result.get(key)
        if isinstance(value, dict) and isinstance(inherited, dict):
            result[key] = merge(inherited, value, here)
        elif isinstance(value, dict) and isinstance(inherited, (list, tuple)):
            result[key] = _merge_list(inherited, value, here)
        else:
            result[key] = value
    for length, other in LENGTHS.items():
        inherits = other not in child and base.get(other) is not None
        if child.get(length) is not None and length in result and inherits:
            result[other] = None
    return result


def _join(base: dict, written: dict, path: Path) -> dict:
    # Imports come before the merge, which looks up the classes of changed types.
    _import_custom(written, path)
    return merge(base, written)


def _without_used(content: dict, variables: set[str]) -> dict:
    """Without variables that have done their work and would be mistaken for keys."""
    done = {
        key
        for key, value in content.items()
        if key in variables and is_suspicious(key, value, content)
    }
    return {key: value for key, value in content.items() if key not in done}


def _without_delete(value: Any) -> Any:
    """Without ``_delete_`` in dicts that had nothing to forget."""
    if isinstance(value, dict):
        return {key: _without_delete(item) for key, item in value.items() if key != '_delete_'}
    if type(value) in (list, tuple):
        return type(value)(_without_delete(item) for item in value)
    return value


def _import_custom(content: dict, path: Path) -> None:
    """Import what ``custom_imports`` names: installed, in the current directory, beside the config.

    The two folders go to the end of ``sys.path``, so that no file in them takes the place of an
    installed package.
    """
    wanted = content.get('custom_imports')
    if not wanted:
        return
    if not isinstance(wanted, dict) or 'imports' not in wanted:
        raise UserError(f'{path}: write custom_imports = dict(imports=[names of modules]).')
    for folder in (str(Path.cwd()), str(path.resolve().parent)):
        if folder not in sys.path:
            sys.path.append(folder)
    names = wanted['imports']
    for name in [names] if isinstance(names, str) else names:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name != name.split('.')[0] and error.name != name:
                raise
            told = f'custom_imports: no module `{name}` is installed, '
            told += f'in the current directory or beside {path.name}.'
            if not wanted.get('allow_failed_imports'):
                raise UserError(told) from error
            print_log(told, 'current', logging.WARNING)


def _keep_accepted(base: dict, kind: str, path: str) -> dict:
    known = arguments(path, kind)
    dropped = [key for key in base if known is not None and key not in known]
    if dropped:
        changed = f'{path}: {base["type"]} → {kind}, dropped {", ".join(dropped)}'
        print_log(changed, 'current', logging.INFO)
    return {key: value for key, value in base.items() if key not in dropped}


def _merge_list(inherited: list | tuple, items: dict, path: str) -> list:
    result = list(inherited)
    for key, value in items.items():
        if not key.isdigit() or int(key) >= len(result):
            raise UserError(
                f'{path}.{key}: `{path}` is a list of {len(result)}; name an element by its '
                f'position.'
            )
        old = result[int(key)]
        both = isinstance(old, dict) and isinstance(value, dict)
        result[int(key)] = merge(old, value, f'{path}.{key}') if both else value
    return result


def _check_paths(content: dict, options: dict[str, Any], variables: set[str]) -> None:
    """Where a dict has no ``type``, an override may only name a key that exists."""
    for path in options:
        parts = path.split('.')
        if parts[0] in variables and parts[0] not in TOP_LEVEL:
            raise UserError(
                f'`{parts[0]}` is a variable of the config file, and its value is in its places '
                f'already; override the keys that it went to instead.'
            )
        node: Any = content
        for i, part in enumerate(parts):
            if not isinstance(node, dict):
                break
            known = set(node) | (TOP_LEVEL if i == 0 else known_below('.'.join(parts[:i])))
            free = 'type' in node or part == '_delete_' or _typed_below(node, options, parts[:i])
            if part not in known and not free:
                if parts[0].endswith('_dataloader') and i == 1 and part in DATALOADER:
                    break
                raise UserError(unknown(path, part, known))
            node = node.get(part)


def _typed_below(node: dict, options: dict, parents: list[str]) -> bool:
    return '.'.join([*parents, 'type']) in options or 'constructor' in node
