"""Which published file a checkpoint resembles that does not fit the given config."""

import functools
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.logging import MMLogger
from torch import Tensor

from openmagvit2.apis import init_model
from openmagvit2.apis.models import published_files
from openmagvit2.checkpoint.converters import Converter, converters
from openmagvit2.errors import UserError

# Names and shapes.
Tensors = set[tuple[str, torch.Size]]
# Part of a file's tensors that the resembling one has in the same shape: averages and networks of
# losses, which models do not have, are more than half of some files.
LEAST = 1 / 3


def advice(converter: Converter, state: dict[str, Tensor]) -> str:
    """Return a sentence that names the config of the most similar published file; may be empty.

    Args:
        converter: Converter that was chosen for the file. Files of other systems count too where
            their converters know its names.
        state: Tensors of the file.
    """
    if converter.detects(state) and (text := converter.unpublished(state)):
        return text
    try:
        files = published_files()
    except UserError:
        # The package stands without its configs.
        return ''
    systems = {type(c).__name__: c for c in converters() if c.detects(state)}
    systems[type(converter).__name__] = converter
    published = [
        ((file['converter'], name), file['file'])
        for name, file in files
        if file['converter'] in systems
    ]
    with _quiet():
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
    return (
        f'It looks like {named}: give {configs}, or fetch the file again if that is what you gave.'
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave out the lines about what each config drops from its bases."""
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel('WARNING')
    try:
        yield
    finally:
        logger.setLevel(level)


def _likeness(converter: Converter, name: str, state: dict[str, Tensor]) -> float:
    """Return the share of equal tensors among those of a file and of a config, from 0 to 1."""
    found = converter.unified(state).items()
    own = {(official, x.shape) for official, x in found if isinstance(x, Tensor)}
    theirs = _tensors(type(converter), name)
    shared = len(own & theirs)
    return shared / len(own | theirs) if shared >= LEAST * len(own) else 0.0


@functools.cache
def _tensors(system: type[Converter], name: str) -> Tensors:
    """Return the tensors of a config by official names; none where the system has no place."""
    converter, model = system(), init_model(name, device='meta')
    own, (links, homeless) = model.state_dict(), converter.match(model)
    return {
        (official, x.shape)
        for link in ([] if homeless else links)
        for official, x in zip(
            link.official, link.to_official([own[name] for name in link.ours]), strict=True
        )
    }
