"""Which published file a checkpoint resembles that does not fit the given config."""

import torch
from torch import Tensor

from openmagvit2.apis import init_model
from openmagvit2.apis.models import published_files
from openmagvit2.checkpoint.converters import Converter, converters

# Part of a file's tensors that the resembling one has in the same shape: averages and networks of
# losses, which models do not have, are more than half of some files.
LEAST = 1 / 3


def advice(converter: Converter, state: dict[str, Tensor]) -> str:
    """Return a sentence that names the config of the most similar published file; may be empty.

    Args:
        converter: Converter that was chosen for the file; files of other systems count too where
            their converters know the names.
        state: Tensors of the file.
    """
    systems = {type(c).__name__: c for c in converters() if c.detects(state)}
    systems[type(converter).__name__] = converter
    published = [
        ((name, file['converter']), file['file'])
        for name, file in published_files()
        if file['converter'] in systems
    ]
    likeness = {
        (name, system): _likeness(state, systems[system], name) for name, system in dict(published)
    }
    most = max(likeness.values(), default=0.0)
    similar = [key for key in likeness if likeness[key] == most > 0]
    if not similar:
        return ''
    files = ' or '.join(file for key, file in published if key in similar)
    configs = ' or '.join(f'configs/{name}.py' for name in dict(similar))
    return (
        f'It looks like {files}: give {configs}, or fetch the file again if that is what you gave.'
    )


def _likeness(state: dict[str, Tensor], converter: Converter, name: str) -> float:
    """Return the share of equal tensors among those of a file and of a config, from 0 to 1."""
    named = converter.unified(state).items()
    own: set[tuple[str, torch.Size]] = {(key, x.shape) for key, x in named if isinstance(x, Tensor)}
    model = init_model(name, device='meta')
    tensors = model.state_dict()
    theirs = {
        (official, x.shape)
        for link in converter.links(model)
        for official, x in zip(
            link.official, link.to_official([tensors[name] for name in link.ours]), strict=True
        )
    }
    shared = len(own & theirs)
    return shared / len(own | theirs) if shared >= LEAST * len(own) else 0.0
