"""Remove prefixes from tensor names that wrappers of a model or other programs added."""

from collections.abc import Callable, Collection, Iterator
from typing import Any

from mmengine.logging import print_log
from torch import nn

from openmagvit2.checkpoint.containers import BESIDE, DEPTH, PICK, behind, listed
from openmagvit2.checkpoint.converters import Converter, choose
from openmagvit2.errors import UserError

# torch.compile adds this to the names of the modules that it wraps.
COMPILED = '_orig_mod.'
# DataParallel and DistributedDataParallel wrap whole models and add it to all names.
PARALLEL = 'module.'
STATES = ('state_dict', 'ema_state_dict')


def unwrapped(content: dict, source: str) -> dict:
    """Remove the prefixes of torch's wrappers from the names of weights; print a line if there are.

    Args:
        content: Content of a file with ``state_dict`` and possibly ``ema_state_dict``.
        source: Name of the file, for messages.
    """
    found: list[str] = []
    for key in STATES:
        state = content.get(key) or {}
        names = {name: name.replace(COMPILED, '') for name in state}
        prefixes = [COMPILED] if any(COMPILED in name for name in names) else []
        while names and all(name.startswith(PARALLEL) for name in names.values()):
            names = {name: own.removeprefix(PARALLEL) for name, own in names.items()}
            prefixes.append(PARALLEL)
        # Names that would collide stay.
        if prefixes and len(set(names.values())) == len(names):
            content = content | {key: {names[name]: x for name, x in state.items()}}
            found += prefixes
    if found:
        text = ' and '.join(f'`{prefix}`' for prefix in dict.fromkeys(found))
        print_log(f'{source}: names are read without {text}.', 'current')
    return content


def fitted(file: dict, model: nn.Module, source: str, system: str | None = None) -> dict:
    """Remove a prefix such as ``net.`` if the model's names follow it; print a line if so.

    Args:
        file: Content of a file with ``state_dict`` and possibly ``ema_state_dict``.
        model: The model, whose names are ours or those of its official files.
        source: Name of the file, for messages.
        system: Name of the converter, if several systems have such a model.

    Raises:
        UserError: The model's names follow several prefixes, or one that not all names have; the
            message lists them.
    """
    state = file['state_dict']
    if _is_of(state, model, system):
        return file
    found = list(_beginnings(state, lambda part: _is_of(part, model, system), DEPTH))
    if not found:
        return file
    if len(found) > 1 or not all(name.startswith(found[0]) for name in state):
        raise UserError(
            f'{source} has the weights of this model under {listed(found)}, beside others: write '
            f'one set to a file of its own with {PICK} {found[0].rstrip(".")}.'
        )
    print_log(f'{source}: names are read without `{found[0]}`.', 'current')
    return file | {
        key: behind(file[key], found[0]) for key in STATES if isinstance(file.get(key), dict)
    }


def official_names(converter: Converter, model: nn.Module) -> set[str]:
    """Return the names of a model's tensors in official files; none if the system lacks a part."""
    links, unmapped = converter.match(model)
    return set() if unmapped else {name for link in links for name in link.official}


def _beginnings(
    state: dict[str, Any], fits: Callable[[dict], bool], depth: int, begin: str = ''
) -> Iterator[str]:
    """Yield the shortest prefixes of names such that the rest of the names ``fits``.

    The entries beside the state dict, such as a discriminator, are not searched.
    """
    parts = dict.fromkeys(f'{name.partition(".")[0]}.' for name in state if '.' in name)
    for part in (part for part in parts if part != BESIDE):
        rest = behind(state, part)
        if fits(rest):
            yield begin + part
        elif depth > 1:
            yield from _beginnings(rest, fits, depth - 1, begin + part)


def _is_of(state: dict[str, Any], model: nn.Module, system: str | None) -> bool:
    """Return whether most names are those of the model, ours or official ones."""
    if _overlap(state, model.state_dict()):
        return True
    converter = choose(model, state, system)
    return _overlap(converter.unified(state), official_names(converter, model))


def _overlap(names: Collection[str], wanted: Collection[str]) -> bool:
    shared = len(set(wanted).intersection(names))
    return shared > 0 and 2 * shared >= min(len(names), len(wanted))
