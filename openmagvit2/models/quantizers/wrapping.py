"""What quantizers around another quantizer share."""

import torch
from torch import Tensor

from openmagvit2.errors import UserError
from openmagvit2.models.quantizers.base import BaseQuantizer
from openmagvit2.registry import QUANTIZERS


def build_inner(config: dict, digits: int | None = None) -> BaseQuantizer:
    """Build the quantizer of a wrapper.

    Args:
        config: Its config.
        digits: Number of digits that its indices must have; None: any.

    Raises:
        UserError: They have another number, or its codes are not of the latents' width.
    """
    quantizer = QUANTIZERS.build(config)
    found = len(quantizer.codebook_sizes)
    if digits is not None and found != digits:
        raise UserError(
            f'model.quantizer.quantizer: indices of {type(quantizer).__name__} have {found} '
            f'digits; here they must have {digits}.'
        )
    if quantizer.in_channels != quantizer.code_dim:
        raise UserError(
            f'model.quantizer.quantizer: {type(quantizer).__name__} turns '
            f'{quantizer.in_channels} channels into {quantizer.code_dim}; here it must keep them.'
        )
    return quantizer


def mean_by_name(dicts: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Means of scalars with the same names."""
    return {name: torch.stack([values[name] for values in dicts]).mean() for name in dicts[0]}
