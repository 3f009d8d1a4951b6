"""Where in a file its weights are: official systems differ."""

from functools import reduce
from typing import Any

from torch import Tensor

from openmagvit2.checkpoint.converters.base import Converter, converters

# Names that trainers of several systems give to the weights: Lightning and others, DeepSpeed.
COMMON = ('state_dict', 'module')
# What comes before the names of tensors from an entry beside the state dict.
BESIDE = 'beside.'


def opened(content: Any) -> dict:
    """Return the content of a file as a dict that has its weights as ``state_dict``.

    Args:
        content: What was read: a state dict, or a dict with one under a name that a converter
            knows.
    """
    if not isinstance(content, dict):
        return dict(state_dict=content)
    names = dict.fromkeys([*COMMON, *(converter.container for converter in converters())])
    found = next((name for name in names if isinstance(content.get(name), dict)), None)
    if found is None:
        return _nested(content) or (
            content if 'state_dict' in content else dict(state_dict=content)
        )
    rest = {key: value for key, value in content.items() if key != found}
    return dict(state_dict=content[found]) | rest


def _nested(content: dict) -> dict | None:
    """Return the content of a training's own file that has its state dicts deeper inside."""
    for converter in converters():
        parts = [reduce(_entry, path, content) for path in converter.nested]
        state = {name: x for part in parts if _is_state_dict(part) for name, x in part.items()}
        if state:
            first = {path[0] for path in converter.nested}
            return dict(state_dict=state) | {k: v for k, v in content.items() if k not in first}
    return None


def _entry(content: Any, name: str) -> Any:
    return content.get(name) if isinstance(content, dict) else None


def joined(content: dict) -> dict:
    """Return what :func:`opened` gives with the state dicts of parts that a file of the system has
    beside the first one, as ``beside.<entry>.<name>`` in it.
    """
    state = content['state_dict']
    entries = {entry for c in converters() if c.beside and c.detects(state) for entry in c.beside}
    parts = sorted(entry for entry in entries if _is_state_dict(content.get(entry)))
    if not parts:
        return content
    more = {
        f'{BESIDE}{entry}.{name}': tensor
        for entry in parts
        for name, tensor in content[entry].items()
    }
    rest = {key: value for key, value in content.items() if key not in ('state_dict', *parts)}
    return dict(state_dict=state | more) | rest


def packed(state: dict[str, Tensor], converter: Converter) -> dict:
    """Return an official state dict as a file of the system has it; the inverse of :func:`opened`
    and :func:`joined`.
    """
    if converter.bare:
        return state
    parts: dict[str, dict[str, Tensor]] = {converter.container: {}}
    for name, tensor in state.items():
        entry, own = converter.container, name
        if name.startswith(BESIDE):
            entry, own = name.removeprefix(BESIDE).split('.', 1)
        parts.setdefault(entry, {})[converter.prefixes.get(entry, '') + own] = tensor
    return parts


def _is_state_dict(value: Any) -> bool:
    return isinstance(value, dict) and any(isinstance(x, Tensor) for x in value.values())
