"""Finite scalar quantization: round each channel to a few levels, without losses
(docs/reference/specification.md, Finite scalar quantization).
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from openmagvit2.errors import UserError
from openmagvit2.models.quantizers.base import (
    BaseQuantizer,
    QuantizerOutput,
    channels,
    straight_through,
)
from openmagvit2.registry import QUANTIZERS
from openmagvit2.signatures import Count


@QUANTIZERS.register_module()
class FSQ(BaseQuantizer):
    """Quantize to prod(levels) codes; channel 0 is the lowest mixed-radix digit of an index.

    Args:
        levels: Number of values of each channel, at least 2. Codes lie in [-1, 1].
        projection: Channels of encoder and decoder, if not ``len(levels)``; adds a 1x1 convolution
            before and one after quantization.

    Raises:
        UserError: ``levels`` has a number below 2 or one that is not an integer.
    """

    level_counts: Tensor
    basis: Tensor

    EPS = 1e-3
    # Hints in errors about config keys that other quantizers have.
    KEY_HINTS = dict(
        codebook_size='FSQ has prod(levels) codes; set levels',
        num_bits='FSQ has prod(levels) codes; set levels',
    )

    def __init__(
        self, *, levels: Sequence[Count] = (8, 8, 8, 5, 5, 5), projection: Count | None = None
    ) -> None:
        levels = [int(level) for level in levels]
        if not levels or min(levels) < 2:
            raise UserError(f'model.quantizer.levels must be integers ≥ 2, got {levels}.')
        super().__init__(width=len(levels), projection=projection)
        self.levels = levels
        self.codebook_sizes = (math.prod(levels),)
        basis = [math.prod(levels[:i]) for i in range(len(levels))]
        self.register_buffer('level_counts', torch.tensor(levels), persistent=False)
        self.register_buffer('basis', torch.tensor(basis), persistent=False)

    def quantize(self, z: Tensor) -> QuantizerOutput:
        """Bound (B, D, *grid) by tanh and round; a shift makes the rounding even for even level
        counts.
        """
        levels = channels(self.level_counts, z).to(z.dtype)
        half = (levels - 1) * (1 + self.EPS) / 2
        offset = torch.where(levels % 2 == 0, 0.5, 0.0)
        bounded = torch.tanh(z + torch.atanh(offset / half)) * half - offset
        codes = straight_through(bounded, bounded.round()) / (levels // 2)
        return QuantizerOutput(codes, self._indices(codes))

    def dequantize(self, indices: Tensor) -> Tensor:
        """Map int64 (B, *grid) to codes (B, D, *grid) in [-1, 1]."""
        like = indices.unsqueeze(1)
        levels = channels(self.level_counts, like)
        half = levels // 2
        return (like // channels(self.basis, like) % levels - half).float() / half

    def _indices(self, codes: Tensor) -> Tensor:
        """Map codes (B, D, *grid) to int64 (B, *grid)."""
        half = channels(self.level_counts, codes) // 2
        digits = (codes * half).round().long() + half
        return (digits * channels(self.basis, digits)).sum(1)
