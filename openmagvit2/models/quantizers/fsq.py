"""Finite scalar quantization (spec §1.4): each channel is rounded to a few levels; no losses."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from openmagvit2.errors import UserError
from openmagvit2.models.quantizers.base import BaseQuantizer, QuantizerOutput, straight_through
from openmagvit2.registry import QUANTIZERS


@QUANTIZERS.register_module()
class FSQ(BaseQuantizer):
    """A grid of prod(levels) codes; channel 0 is the fastest digit of an index.

    Args:
        levels: Number of values of each channel, at least 2. Codes lie in [-1, 1].
    """

    EPS = 1e-3
    # What a config's error says of keys that other quantizers have.
    KEY_HINTS = dict(
        codebook_size='FSQ has prod(levels) codes; set levels',
        num_bits='FSQ has prod(levels) codes; set levels',
    )

    def __init__(self, *, levels: Sequence[int] = (8, 8, 8, 5, 5, 5)) -> None:
        super().__init__()
        levels = [int(level) for level in levels]
        if not levels or min(levels) < 2:
            raise UserError(f'model.quantizer.levels must be integers of at least 2, got {levels}.')
        self.levels = levels
        self.in_channels = self.code_dim = len(levels)
        self.codebook_sizes = (math.prod(levels),)

    def quantize(self, z: Tensor) -> QuantizerOutput:
        """Bound (B, D, *grid) by tanh, shifted so that even level counts round evenly, and
        round.
        """
        levels = self._column(self.levels, z)
        half = (levels - 1) * (1 + self.EPS) / 2
        offset = torch.where(levels % 2 == 0, 0.5, 0.0)
        bounded = torch.tanh(z + torch.atanh(offset / half)) * half - offset
        codes = straight_through(bounded, bounded.round()) / (levels // 2)
        return QuantizerOutput(codes, self.codes_to_indices(codes))

    def indices_to_codes(self, indices: Tensor) -> Tensor:
        """int64 (B, *grid) to codes (B, D, *grid) in [-1, 1]."""
        like = indices.unsqueeze(1)
        levels = self._column(self.levels, like)
        digits = like // self._column(self._basis(), like) % levels
        half = levels // 2
        return (digits - half).float() / half

    def codes_to_indices(self, codes: Tensor) -> Tensor:
        """Codes (B, D, *grid) to int64 (B, *grid)."""
        half = self._column(self.levels, codes).long() // 2
        digits = (codes.float() * half).round().long() + half
        return (digits * self._column(self._basis(), digits)).sum(1)

    def _basis(self) -> list[int]:
        return [math.prod(self.levels[:i]) for i in range(len(self.levels))]

    @staticmethod
    def _column(values: list[int], like: Tensor) -> Tensor:
        return torch.tensor(values, dtype=like.dtype, device=like.device).reshape(
            1, -1, *[1] * (like.dim() - 2)
        )
