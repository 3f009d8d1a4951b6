"""Shared code of quantizers that wrap another quantizer."""

import torch
from torch import Tensor

from openmagvit2.errors import UserError
from openmagvit2.models.layers.iteration import needs_whole_batch
from openmagvit2.models.quantizers.base import BaseQuantizer
from openmagvit2.registry import QUANTIZERS


def build_inner(config: dict, digits: int | None = None) -> BaseQuantizer:
    """Build the inner quantizer of a wrapper.

    Args:
        config: Config of the inner quantizer.
        digits: Required number of digits of its indices; None allows any.

    Raises:
        UserError: Its indices have another number of digits, or its codes another number of
            channels than its latents.
    """
    quantizer: BaseQuantizer = QUANTIZERS.build(config)
    found = len(quantizer.codebook_sizes)
    if digits is not None and found != digits:
        raise UserError(
            f'model.quantizer.quantizer: indices of {type(quantizer).__name__} have {found} '
            f'digits; this wrapper needs {digits}.'
        )
    if quantizer.in_channels != quantizer.code_dim:
        raise UserError(
            f'model.quantizer.quantizer: {type(quantizer).__name__} maps '
            f'{quantizer.in_channels} channels to {quantizer.code_dim}; this wrapper needs equal '
            f'widths.'
        )
    return quantizer


def asked_again(wrapper: BaseQuantizer, quantizer: BaseQuantizer) -> str | None:
    """Return :attr:`BaseQuantizer.indivisible` of a wrapper that calls its quantizer several times
    per pass.
    """
    if needs_whole_batch(quantizer):
        return (
            f'{type(wrapper).__name__} calls its {type(quantizer).__name__} several times per '
            f'pass, so entropy_sync cannot tell these calls from micro-batches; set '
            f'accumulative_counts to 1, or entropy_sync=False.'
        )
    return quantizer.indivisible


def mean_by_name(dicts: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Average scalars over dicts, name by name."""
    return {name: torch.stack([values[name] for values in dicts]).mean() for name in dicts[0]}
