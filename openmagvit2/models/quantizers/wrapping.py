"""What quantizers around another quantizer share."""

import torch
from torch import Tensor

from openmagvit2.errors import UserError
from openmagvit2.models.layers.iteration import needs_whole_batch
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
    quantizer: BaseQuantizer = QUANTIZERS.build(config)
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


def asked_again(wrapper: BaseQuantizer, quantizer: BaseQuantizer) -> str | None:
    """Say why a wrapper that asks its quantizer several times a pass cannot cut an iteration; see
    :attr:`BaseQuantizer.indivisible`.
    """
    if needs_whole_batch(quantizer):
        return (
            f'{type(wrapper).__name__} asks its {type(quantizer).__name__} several times a pass, '
            f'so entropy_sync cannot tell the micro-batches from these; set accumulative_counts '
            f'to 1, or entropy_sync=False.'
        )
    return quantizer.indivisible


def mean_by_name(dicts: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Return the means of scalars with the same names."""
    return {name: torch.stack([values[name] for values in dicts]).mean() for name in dicts[0]}
