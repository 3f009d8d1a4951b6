"""Names of tensors without the prefixes that wrappers of a model add."""

from typing import Any

# torch.compile adds this prefix to each module that it wraps.
COMPILED = '_orig_mod.'
# DataParallel and DistributedDataParallel wrap whole models, so all names have it.
PARALLEL = 'module.'


def unwrapped(state: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Remove the prefixes of wrappers from a state dict.

    Returns:
        The state dict, and the prefixes found; the same dict if there are none, or if two tensors
        would get the same name.
    """
    names, found = {name: name for name in state}, []
    while state:
        if any(COMPILED in name for name in names.values()):
            names = {name: own.replace(COMPILED, '') for name, own in names.items()}
            found.append(COMPILED)
        elif all(name.startswith(PARALLEL) for name in names.values()):
            names = {name: own.removeprefix(PARALLEL) for name, own in names.items()}
            found.append(PARALLEL)
        else:
            break
    if not found or len(set(names.values())) < len(names):
        return state, []
    return {names[name]: value for name, value in state.items()}, found
