"""Build a sampler from its settings."""

import inspect
from typing import Any

from openmagvit2.config.annotations import check_argument
from openmagvit2.errors import UserError
from openmagvit2.models.samplers.sub_token import SubTokenSampler
from openmagvit2.registry import SAMPLERS
from openmagvit2.signatures import accepted


def build_sampler(settings: dict[str, Any]) -> SubTokenSampler:
    """Build the sampler that ``type`` names, :class:`SubTokenSampler` by default.

    Raises:
        UserError: The sampler does not have a setting, or a value has the wrong type.
    """
    settings = dict(type='SubTokenSampler') | settings
    kind = settings['type']
    cls = SAMPLERS.get(kind) if isinstance(kind, str) else kind
    if cls is not None and not (inspect.isclass(cls) and issubclass(cls, SubTokenSampler)):
        raise UserError(f'sampling.type must be the name of a sampler, got {kind!r}.')
    known = accepted(cls) | {'type'} if cls is not None else set(settings)
    wrong = [key for key in settings if key not in known]
    if wrong:
        listed = ', '.join(sorted(known - {'type'}))
        raise UserError(f'sampling: {kind} has no setting `{wrong[0]}`; it has {listed}.')
    for key, value in settings.items():
        check_argument(f'sampling.{key}', value, cls)
    return SAMPLERS.build(settings)
