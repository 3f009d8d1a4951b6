"""Where in a file its weights are: official systems differ."""

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
            knows. State dicts of parts beside it, which a converter knows, become part of it as
            ``beside.<entry>.<name>``.
    """
    if not isinstance(content, dict):
        return dict(state_dict=content)
    known = converters()
    names = dict.fromkeys([*COMMON, *(converter.container for converter in known)])
    found = next((name for name in names if isinstance(content.get(name), dict)), None)
    if found is None:
        return content if 'state_dict' in content else dict(state_dict=content)
    state = content[found]
    parts = {entry for converter in known for entry in converter.beside if entry != found}
    parts = {entry for entry in parts if _is_state_dict(content.get(entry))}
    if parts:
        # A copy only where something is added.
        state = state | {
            f'{BESIDE}{entry}.{name}': tensor
            for entry in sorted(parts)
            for name, tensor in content[entry].items()
        }
    rest = {key: value for key, value in content.items() if key != found and key not in parts}
    return dict(state_dict=state) | rest


def packed(state: dict[str, Tensor], converter: Converter) -> dict:
    """Return an official state dict as a file of the system has it; the inverse of
    :func:`opened`.
    """
    if converter.bare:
        return state
    parts: dict[str, dict[str, Tensor]] = {converter.container: {}}
    for name, tensor in state.items():
        entry, own = converter.container, name
        if name.startswith(BESIDE):
            entry, own = name.removeprefix(BESIDE).split('.', 1)
        parts.setdefault(entry, {})[own] = tensor
    return parts


def _is_state_dict(value: Any) -> bool:
    return isinstance(value, dict) and any(isinstance(x, Tensor) for x in value.values())
