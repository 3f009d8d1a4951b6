"""Names of tensors without what wrappers of a model put before them."""

from typing import Any

# torch.compile puts its own before each module that it wraps.
COMPILED = '_orig_mod.'
# DataParallel and DistributedDataParallel wrap whole models, so all names have it.
PARALLEL = 'module.'


def unwrapped(state: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """A state dict without the prefixes of wrappers.

    Returns:
        The state dict, and the prefixes that were found; the same dict where there were none, or
        where two tensors would get one name.
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
