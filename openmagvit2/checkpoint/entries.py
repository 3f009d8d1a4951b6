"""Weights that lie deeper in a file than any system here puts them: found, or picked by name."""

from collections.abc import Callable, Collection, Iterator
from typing import Any

from mmengine.logging import print_log
from torch import Tensor, nn

from openmagvit2.checkpoint.containers import BESIDE
from openmagvit2.checkpoint.converters import Converter, choose
from openmagvit2.errors import UserError, few

# How deep entries, and the dots in names, are looked into.
DEPTH = 3
PICK = 'python tools/convert_checkpoint.py FILE OUT.pth --config CONFIG --entry'


def state_dicts(content: dict) -> dict[str, dict]:
    """Return the state dicts in a file by the paths of their entries, as ``'ema'`` or
    ``'model.net'``; the file itself has the path ''.
    """
    return dict(_state_dicts(content, '', DEPTH))


def sole(content: dict, source: str) -> dict:
    """Return a file whose ``state_dict`` has no tensors, but one entry that does, with this one and
    a printed line.

    Args:
        content: A dict with the entry ``state_dict``.
        source: Name of the file for messages.

    Raises:
        UserError: There are several such entries; the text names them.
    """
    state = content['state_dict']
    if not isinstance(state, dict) or any(isinstance(x, Tensor) for x in state.values()):
        return content
    found = state_dicts(state)
    if len(found) > 1:
        raise UserError(
            f'{source} holds several sets of weights ({_listed(found)}): write one to a file of '
            f'its own, {PICK} {next(iter(found))}.'
        )
    for path, weights in found.items():
        print_log(f'{source}: the weights are those of its entry `{path}`.', 'current')
        return content | dict(state_dict=weights)
    return content


def picked(content: dict, entry: str, source: str) -> dict:
    """Return a file with the weights of one entry, or those whose names begin with it.

    Args:
        content: A whole file.
        entry: Path of the entry, or beginning of the names: ``'ema'``, ``'model.net'``.
        source: Name of the file for messages.

    Returns:
        ``state_dict``, and ``meta`` where the file has it.

    Raises:
        UserError: There is no such entry, or more than one; the text names those that there are.
    """
    begin, found = f'{entry.rstrip(".")}.', state_dicts(content)
    hits = [_behind(state, begin.removeprefix(f'{path}.')) for path, state in found.items()]
    hits = [found[begin[:-1]]] if begin[:-1] in found else [hit for hit in hits if hit]
    if len(hits) != 1:
        known = [name for path, state in found.items() for name in _names(path, state)]
        raise UserError(f'{source} has no entry {entry!r}; choose one of {_listed(known)}.')
    return dict(state_dict=hits[0]) | {key: content[key] for key in ('meta',) if key in content}


def fitted(file: dict, model: nn.Module, source: str, system: str | None = None) -> dict:
    """Return a file without what all its names begin with, as ``net.``, where the model's names
    come behind it; print a line.

    Args:
        file: A file with ``state_dict`` and maybe ``ema_state_dict``.
        model: The model; both our names and those of its official files count.
        source: Name of the file for messages.
        system: Name of the converter, where several systems have files of the model.

    Raises:
        UserError: The model's names come behind several beginnings, or behind one that not all
            names have; the text names them.
    """
    state = file['state_dict']
    if _is_of(state, model, system):
        return file
    found = list(_beginnings(state, lambda part: _is_of(part, model, system), DEPTH))
    if not found:
        return file
    if len(found) > 1 or not all(name.startswith(found[0]) for name in state):
        raise UserError(
            f'{source} has the weights of this model under {_listed(found)}, beside others: write '
            f'one set to a file of its own, {PICK} {found[0].rstrip(".")}.'
        )
    taken = {
        key: _behind(file[key], found[0])
        for key in ('state_dict', 'ema_state_dict')
        if isinstance(file.get(key), dict)
    }
    print_log(f'{source}: names are read without `{found[0]}`.', 'current')
    return file | taken


def official_names(converter: Converter, model: nn.Module) -> set[str]:
    """Return the names of a model's tensors in official files; none where it has no place there."""
    if converter.homeless(model):
        return set()
    return {name for link in converter.links(model) for name in link.official}


def _state_dicts(node: dict, path: str, depth: int) -> Iterator[tuple[str, dict]]:
    # The state of an optimizer has numbers as keys.
    if not all(isinstance(key, str) for key in node):
        return
    if any(isinstance(x, Tensor) and x.is_floating_point() for x in node.values()):
        yield path, node
        return
    for key, value in node.items():
        if depth and isinstance(value, dict):
            yield from _state_dicts(value, f'{path}.{key}' if path else key, depth - 1)


def _beginnings(
    state: dict[str, Any], fits: Callable[[dict], bool], depth: int, begin: str = ''
) -> Iterator[str]:
    """Yield the shortest beginnings of names behind which there is what fits; what stands beside
    the state dict in a file, as a discriminator, is no model.
    """
    parts = dict.fromkeys(f'{name.partition(".")[0]}.' for name in state if '.' in name)
    for part in (part for part in parts if part != BESIDE):
        behind = _behind(state, part)
        if fits(behind):
            yield begin + part
        elif depth > 1:
            yield from _beginnings(behind, fits, depth - 1, begin + part)


def _behind(state: dict[str, Any], begin: str) -> dict[str, Any]:
    return {name[len(begin) :]: x for name, x in state.items() if name.startswith(begin)}


def _is_of(state: dict[str, Any], model: nn.Module, system: str | None) -> bool:
    """Return whether most of some names are the model's: ours, or those of its official files."""
    if _overlap(state, model.state_dict()):
        return True
    converter = choose(model, state, system)
    return _overlap(converter.unified(state), official_names(converter, model))


def _overlap(names: Collection[str], wanted: Collection[str]) -> bool:
    shared = len(set(wanted).intersection(names))
    return shared > 0 and 2 * shared >= min(len(names), len(wanted))


def _names(path: str, state: dict) -> set[str]:
    """Return the path of a state dict; of the file itself the first parts of its names."""
    return {path} if path else {name.partition('.')[0] for name in state}


def _listed(names: Collection[str]) -> str:
    """Return names in quotes, no more than eight."""
    return few([f'`{name}`' for name in sorted(names)], most=8)
