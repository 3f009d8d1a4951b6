"""Find the weights in the content of a file, whose layout depends on the program that wrote it."""

from collections.abc import Collection, Iterator
from typing import Any

from mmengine.logging import print_log
from torch import Tensor

from openmagvit2.checkpoint.converters.base import Converter, converters
from openmagvit2.errors import UserError, few

# Entries in which trainers keep the weights: Lightning and others, DeepSpeed.
COMMON = ('state_dict', 'module')
# Prefix of the names of tensors from an entry beside the state dict.
BESIDE = 'beside.'
# How deep nested entries are searched.
DEPTH = 3
PICK = 'python tools/convert_checkpoint.py FILE OUT.pth --config CONFIG --entry'


def opened(content: Any, source: str) -> dict:
    """Return the content of a file as a dict that has its weights as ``state_dict``.

    The weights are the state dict in an entry with a common name or one that a converter declares,
    the parts that one converter declares, joined, or, with a printed line, the only state dict of
    the file. Otherwise, ``state_dict`` is all of the content.

    Args:
        content: What was read.
        source: Name of the file, for messages.

    Raises:
        UserError: There are several state dicts in other entries; the message names them.
    """
    if not isinstance(content, dict):
        return dict(state_dict=content)
    names = dict.fromkeys([*COMMON, *(next(iter(c.entries)) for c in converters())])
    name = next((name for name in names if isinstance(content.get(name), dict)), None)
    if name is not None:
        rest = {key: value for key, value in content.items() if key != name}
        return dict(state_dict=_sole(content[name], source)) | rest
    found = _inside(content)
    for converter in converters():
        parts = [found[path] for path in converter.nested if path in found]
        if parts:
            first = {path.partition('.')[0] for path in converter.nested}
            state = {name: tensor for part in parts for name, tensor in part.items()}
            return dict(state_dict=state) | {k: v for k, v in content.items() if k not in first}
    return content if 'state_dict' in content else dict(state_dict=_sole(content, source))


def _sole(state: dict, source: str) -> dict:
    """Return a state dict, or the only one inside a dict without tensors; see :func:`opened`."""
    if any(isinstance(x, Tensor) for x in state.values()):
        return state
    found = state_dicts(state)
    if len(found) > 1:
        raise UserError(
            f'{source} has several sets of weights ({listed(found)}): write one to a file of '
            f'its own with {PICK} {next(iter(found))}.'
        )
    for path, weights in found.items():
        print_log(f'{source}: the weights are those of its entry `{path}`.', 'current')
        return weights
    return state


def picked(content: dict, entry: str, source: str) -> dict:
    """Return the weights in one entry of a file, or those with a prefix.

    Args:
        content: The content of the file.
        entry: Path of the entry, or prefix of the names, such as ``'ema'`` or ``'model.net'``.
        source: Name of the file, for messages.

    Returns:
        A dict with ``state_dict``, and ``meta`` if the file has it.

    Raises:
        UserError: There is no such entry, or more than one; the message lists all entries.
    """
    begin, found = f'{entry.rstrip(".")}.', state_dicts(content)
    hits = [behind(state, begin.removeprefix(f'{path}.')) for path, state in found.items()]
    hits = [found[begin[:-1]]] if begin[:-1] in found else [hit for hit in hits if hit]
    if len(hits) != 1:
        # For tensors in the file itself, list the first parts of their names.
        known = [
            name
            for path, state in found.items()
            for name in ([path] if path else {name.partition('.')[0] for name in state})
        ]
        raise UserError(f'{source} has no entry {entry!r}; choose one of {listed(known)}.')
    return dict(state_dict=hits[0]) | {key: content[key] for key in ('meta',) if key in content}


def state_dicts(content: dict) -> dict[str, dict]:
    """Return the state dicts in a file by the paths of their entries.

    A path is such as ``'ema'`` or ``'model.net'``, or '' if the file itself is a state dict.
    """
    return dict(_state_dicts(content, '', DEPTH))


def _inside(content: dict) -> dict[str, dict]:
    """Return the state dicts in the entries of a file, also if there are tensors beside them."""
    return state_dicts({key: value for key, value in content.items() if isinstance(value, dict)})


def _state_dicts(node: dict, path: str, depth: int) -> Iterator[tuple[str, dict]]:
    # The keys of an optimizer's state are numbers.
    if not all(isinstance(key, str) for key in node):
        return
    if any(isinstance(x, Tensor) and x.is_floating_point() for x in node.values()):
        yield path, node
        return
    for key, value in node.items():
        if depth and isinstance(value, dict):
            yield from _state_dicts(value, f'{path}.{key}' if path else key, depth - 1)


def joined(content: dict) -> dict:
    """Add the state dicts in the other :attr:`Converter.entries` of a system to the ``state_dict``.

    The argument is a result of :func:`opened`; added names begin with ``beside.<entry>.``.
    """
    state, found = content['state_dict'], _inside(content)
    systems = [c for c in converters() if len(c.entries) > 1 and c.detects(state)]
    entries = {entry for c in systems for entry in list(c.entries)[1:]}
    parts = sorted(entries & found.keys())
    more = {f'{BESIDE}{entry}.{name}': x for entry in parts for name, x in content[entry].items()}
    rest = {key: value for key, value in content.items() if key not in ('state_dict', *parts)}
    return dict(state_dict=state | more) | rest if parts else content


def packed(state: dict[str, Tensor], converter: Converter) -> dict:
    """Return the content of an official file with a state dict.

    This is the inverse of :func:`opened` and :func:`joined`.
    """
    if converter.bare:
        return state
    first = next(iter(converter.entries))
    content: dict[str, dict[str, Tensor]] = {first: {}}
    for name, tensor in state.items():
        entry, own = first, name
        if name.startswith(BESIDE):
            entry, own = name.removeprefix(BESIDE).split('.', 1)
        content.setdefault(entry, {})[converter.entries[entry] + own] = tensor
    return content


def behind(state: dict[str, Any], begin: str) -> dict[str, Any]:
    """Return the items whose names begin with ``begin``, by the rest of their names."""
    return {name[len(begin) :]: x for name, x in state.items() if name.startswith(begin)}


def listed(names: Collection[str]) -> str:
    """Return up to eight names in quotes, sorted."""
    return few([f'`{name}`' for name in sorted(names)], most=8)
