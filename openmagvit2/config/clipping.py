"""The check of ``clip_grad``: torch would reject its arguments only at the first step."""

from typing import Any

from torch.nn.utils import clip_grad_norm_, clip_grad_value_

from openmagvit2.config.annotations import check_argument, fits
from openmagvit2.errors import UserError, check_choice
from openmagvit2.signatures import accepted

FUNCTIONS = dict(norm=clip_grad_norm_, value=clip_grad_value_)
# They must be positive: others would reverse gradients, or remove them.
BOUNDS = dict(norm='max_norm', value='clip_value')


def check_clipping(path: str, value: Any) -> None:
    """Raise UserError if ``clip_grad`` at a path is neither None nor the arguments of a function of
    torch, that of its ``type``: 'norm' (the default) or 'value'.
    """
    if value is None:
        return
    if not isinstance(value, dict) or not value:
        raise UserError(f'{path} must be a dict such as dict(max_norm=1.0) or None, got {value!r}.')
    kind = value.get('type', 'norm')
    check_choice(f'{path}.type', kind, FUNCTIONS)
    function, bound = FUNCTIONS[kind], BOUNDS[kind]
    known = accepted(function) - {'parameters'}
    for key, item in value.items():
        if key not in known | {'type'}:
            raise UserError(
                f'Unknown config key `{path}.{key}`. Known of type={kind!r}: '
                f'{", ".join(sorted(known))}.'
            )
        check_argument(f'{path}.{key}', item, function)
    for key in {bound, 'norm_type'} & {bound, *value}:
        number = value.get(key)
        if not fits(number, float) or number <= 0:
            raise UserError(f'{path}.{key} must be a number above 0, got {number!r}.')
