"""Loading of configs with overrides.

One function merges all dicts: a child file into its ``_base_``, and ``--cfg-options`` into a file.
If a ``type`` changes, inherited keys that the new class does not accept are dropped and logged;
keys that are written together with the new type are never dropped. ``files.py`` reads files,
``openmagvit2/cfg_options.py`` the command line; ``checks.py`` checks the result.
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
from openmagvit2.cfg_options import nest
from openmagvit2.config.checks import check
from openmagvit2.config.files import read_file
from openmagvit2.config.keys import keys_of, mistake_at_top, top_level, unknown
from openmagvit2.config.merging import merge
from openmagvit2.config.slots import MMENGINE, Place, class_of, place_of, walk
from openmagvit2.config.templates import fill_options
from openmagvit2.config.version_1 import translated
from openmagvit2.errors import UserError
from openmagvit2.registry import Slot
from openmagvit2.signatures import whole_numbers


class TextConfig(Config):
    """A config that formats its text only once: mmengine's Runner and its hooks use the text five
    times before the first iteration, and formatting takes half a second.
    """

    # Content and text of the last config that was formatted; a run has one config.
    _last = ('', '')

    @property
    def pretty_text(self) -> str:
        """Formatted Python code of the config."""
        content = repr(self.to_dict())
        known, text = TextConfig._last
        if known != content:
            text = super().pretty_text
            TextConfig._last = content, text
        return text


def load_config(path: str | Path, options: dict[str, Any] | None = None) -> Config:
    """Load a config file with its bases, merge overrides, and check every key.

    Args:
        path: A Python config file; ``_base_`` names files relative to it.
        options: Overrides by dotted path, such as those of ``--cfg-options``.

    Raises:
        UserError: The file is missing or cannot be parsed, or a key is unknown; the message names
            the most similar known key.
    """
    path = Path(path)
    content, variables = read_file(path, _join)
    content = _without_variables(content, variables)
    if options:
        options = fill_options(options, content, path)
        given = nest(options)
        _import_given(content, given, path)
        _check_paths(content, options, variables)
        content = merge(content, translated(given, content))
    for key in RESERVED_KEYS:
        if key in content:
            raise UserError(f'Config file {path}: mmengine reserves the name `{key}`.')
    content = _without_delete(content)
    content.setdefault('default_scope', registry.SCOPE)
    check(content)
    _set_integers(content)
    return TextConfig(content, filename=str(path))


def _join(base: dict, written: dict, path: Path) -> dict:
    # Imports come before the merge, which looks up the classes of changed types.
    _import_custom(written, path)
    return merge(base, translated(written, base))


def _without_variables(content: dict, variables: set[str]) -> dict:
    """Remove variables that have been used already and would be mistaken for keys."""
    done = {
        key
        for key, value in content.items()
        if key in variables and mistake_at_top(key, value, content)
    }
    return {key: value for key, value in content.items() if key not in done}


def _without_delete(value: Any) -> Any:
    """Remove ``_delete_`` from dicts that inherit nothing."""
    if isinstance(value, dict):
        return {key: _without_delete(item) for key, item in value.items() if key != '_delete_'}
    if type(value) in (list, tuple):
        return type(value)(_without_delete(item) for item in value)
    return value


def _set_integers(content: dict) -> None:
    """Convert floats such as 1e5 to integers where a class expects integers: mmengine builds most
    parts without our registries, which would convert them.
    """
    for _, node, place in walk(content):
        cls = class_of(place, node)
        if cls is not None:
            node.update(whole_numbers(cls, node))


def _import_custom(content: dict, path: Path) -> None:
    """Import the modules of ``custom_imports``: installed, in the current directory, or in the
    folder of the config.

    The two folders are appended to ``sys.path``, so that no file in them shadows an installed
    package.
    """
    wanted = content.get('custom_imports')
    if not wanted:
        return
    names = wanted.get('imports') if isinstance(wanted, dict) else None
    names = [names] if isinstance(names, str) else names
    if not isinstance(names, (list, tuple)) or not all(map(_is_module, names)):
        raise UserError(f'{path}: write custom_imports = dict(imports=[names of modules]).')
    for folder in (str(Path.cwd()), str(path.resolve().parent)):
        if folder not in sys.path:
            sys.path.append(folder)
    for name in names:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name != name.split('.')[0] and error.name != name:
                raise
            message = f'custom_imports: no module `{name}` is installed, '
            message += f'in the current directory or beside {path.name}.'
            if not wanted.get('allow_failed_imports'):
                raise UserError(message) from error
            print_log(message, 'current', logging.WARNING)


def _is_module(name: Any) -> bool:
    return isinstance(name, str) and all(part.isidentifier() for part in name.split('.'))


def _import_given(content: dict, given: dict, path: Path) -> None:
    """Import the modules that overrides name, before the merge, which may need their classes."""
    key = 'custom_imports'
    if key in given:
        _import_custom(merge({key: content.get(key)}, {key: given[key]}), path)


def _check_paths(content: dict, options: dict[str, Any], variables: set[str]) -> None:
    """Check that overrides in dicts without a ``type`` name existing keys."""
    for path in options:
        parts = path.split('.')
        if parts[0] in variables and parts[0] not in top_level():
            raise UserError(
                f'`{parts[0]}` is a variable of the config file, and its value has been used '
                f'already; override the keys that use it instead.'
            )
        _check_path(path, content, options)


def _check_path(path: str, content: dict, options: dict[str, Any]) -> None:
    node: Any = content
    place: Place = None
    parent = ''
    for part in path.split('.'):
        # The constructor of the optimizers knows the keys of its roles.
        if not isinstance(node, dict) or 'constructor' in node:
            return
        here = f'{parent}.{part}' if parent else part
        known = {*node, *keys_of(parent, {}, place).known}
        if part not in known and not _may_be_new(here, node, place, options):
            hint = None if parent else mistake_at_top(part, options[path], content)
            raise UserError(hint or unknown(here, known))
        parent, place, node = here, place_of(place, node, part), node.get(part)


def _may_be_new(path: str, node: dict, place: Place, options: dict[str, Any]) -> bool:
    """Return whether an override may add a key to a dict: an argument of a class, which is checked
    after the merge, or a part by name.

    Args:
        path: The key.
        node, place: The dict that would have it, and its place.
        options: All overrides by path.
    """
    parent, _, key = path.rpartition('.')
    if 'type' in node or f'{parent}.type'.lstrip('.') in options or key == '_delete_':
        return True
    value = options.get(path)
    typed = f'{path}.type' in options or (isinstance(value, dict) and 'type' in value)
    # A loss may be given by its weight alone.
    number = isinstance(value, (int, float)) and place not in MMENGINE.values()
    return isinstance(place, Slot) and (typed or number)
