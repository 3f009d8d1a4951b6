"""Advice for a checkpoint that does not fit the config: the published file that it resembles."""

import functools

import torch
from torch import Tensor

from openmagvit2.apis import init_model
from openmagvit2.apis.models import published_files
from openmagvit2.checkpoint.converters import Converter, converters
from openmagvit2.errors import UserError
from openmagvit2.workflows.bare_model import quiet

# Names and shapes.
Tensors = set[tuple[str, torch.Size]]
# Minimum fraction of a file's tensors that a similar file has with the same shapes. In some files,
# more than half of the tensors are averages and networks of losses, which models do not have.
LEAST = 1 / 3


def advice(converter: Converter, state: dict[str, Tensor]) -> str:
    """Return a sentence that names the config of the most similar published file, or ''.

    Args:
        converter: The converter that was chosen for the file. Other converters that recognize the
            names are considered too.
        state: Tensors of the file.
    """
    if converter.detects(state) and (text := converter.unpublished(state)):
        return text
    try:
        files = published_files()
    except UserError:
        # The package may be installed without its configs.
        return ''
    systems = {type(c).__name__: c for c in converters() if c.detects(state)}
    systems[type(converter).__name__] = converter
    published = [
        ((file['converter'], name), file['file'])
        for name, file in files
        if file['converter'] in systems
    ]
    with quiet():
        likeness = {
            (system, name): _likeness(systems[system], name, state)
            for system, name in dict(published)
        }
    most = max(likeness.values(), default=0.0)
    similar = [key for key in likeness if likeness[key] == most > 0]
    if not similar:
        return ''
    named = ' or '.join(file for key, file in published if key in similar)
    configs = ' or '.join(dict.fromkeys(f'configs/{name}.py' for _, name in similar))
    return f'It looks like {named}: give {configs}, or download the file again if you did.'


def _likeness(converter: Converter, name: str, state: dict[str, Tensor]) -> float:
    """Return the fraction of the tensors of a file and a config that both have, from 0 to 1."""
    found = converter.unified(state).items()
    own = {(official, x.shape) for official, x in found if isinstance(x, Tensor)}
    theirs = _tensors(type(converter), name)
    shared = len(own & theirs)
    return shared / len(own | theirs) if shared >= LEAST * len(own) else 0.0


@functools.cache
def _tensors(system: type[Converter], name: str) -> Tensors:
    """Return the tensors of a config by official names; none if the system cannot store them."""
    converter, model = system(), init_model(name, device='meta')
    own, (links, unmapped) = model.state_dict(), converter.match(model)
    return {
        (official, x.shape)
        for link in ([] if unmapped else links)
        for official, x in zip(
            link.official, link.to_official([own[name] for name in link.ours]), strict=True
        )
    }
