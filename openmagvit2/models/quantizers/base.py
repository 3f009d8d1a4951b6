"""Contract of the quantizer slot."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor, nn

from openmagvit2.errors import UserError


@dataclass
class QuantizerOutput:
    """What a quantizer gives for one batch.

    Attributes:
        codes: Quantized vectors (B, D, *grid), in the dtype of ``z``; gradients pass straight
            through to ``z``.
        indices: int64 (B, *token_shape(grid)), each digit in [0, its codebook size).
        losses: Unweighted, differentiable scalars by name; empty in eval mode.
        stats: Detached scalars for the log by name.
        finite: In eval mode, whether all of ``z`` was finite: a bool scalar on the device.
    """

    codes: Tensor
    indices: Tensor
    losses: dict[str, Tensor] = field(default_factory=dict)
    stats: dict[str, Tensor] = field(default_factory=dict)
    finite: Tensor | None = None

    def check_finite(self, what: str) -> None:
        """Check that the encoder gave finite numbers; waits for the device.

        Args:
            what: Of which images, and where known of which weights, for the error.

        Raises:
            UserError: Some were NaN or infinite, whose indices would look like any others.
        """
        if self.finite is not None and not self.finite:
            raise UserError(
                f'The encoder gives NaN or infinite numbers for {what}: the weights are damaged, '
                'or their training has diverged; use another checkpoint.'
            )


class BaseQuantizer(nn.Module, ABC):
    """``quantizer(z (B, in_channels, *grid)) -> QuantizerOutput``.

    A subclass sets ``in_channels``, ``code_dim`` and ``codebook_sizes`` and implements
    :meth:`quantize` and :meth:`indices_to_codes`. It is always given float32, whatever the
    autocast: half-precision indices collapse.

    Attributes:
        in_channels: Channels wanted from the encoder.
        code_dim: Channels of the codes.
    """

    in_channels: int
    code_dim: int

    @cached_property
    def codebook_sizes(self) -> tuple[int, ...]:
        """Number of values of each digit of an index; a class sets it.

        A class written for version 1 sets ``codebook_size`` and, with several codebooks,
        ``num_codebooks`` instead.
        """
        if not self._states('codebook_size'):
            raise UserError(
                f'{type(self).__name__} must set `codebook_sizes`, a tuple with the number of '
                f'values of each digit of an index.'
            )
        return (self.codebook_size,) * (self.num_codebooks if self._states('num_codebooks') else 1)

    @cached_property
    def codebook_size(self) -> int:
        """Number of codes of a quantizer whose indices have a single digit.

        Raises:
            UserError: They have several.
        """
        if len(self.codebook_sizes) > 1:
            raise UserError(
                f'{type(self).__name__} has {len(self.codebook_sizes)} codebooks: read '
                f'`codebook_sizes` instead of `codebook_size`.'
            )
        return self.codebook_sizes[0]

    @cached_property
    def num_codebooks(self) -> int:
        """Number of digits of an index."""
        return len(self.codebook_sizes)

    def _states(self, name: str) -> bool:
        """Whether the class or the instance sets an attribute that this class derives."""
        return name in vars(self) or getattr(type(self), name) is not getattr(BaseQuantizer, name)

    def token_shape(self, grid: Sequence[int]) -> tuple[int, ...]:
        """Axes of an image's indices: the grid, with k > 1 digits one more axis of length k."""
        digits = len(self.codebook_sizes)
        return tuple(grid) if digits == 1 else (*grid, digits)

    def forward(self, z: Tensor) -> QuantizerOutput:
        """Quantize (B, in_channels, *grid) in float32 and give the codes back in the dtype of
        ``z``; in training with a stat ``mean_abs_z``.
        """
        with torch.autocast(z.device.type, enabled=False):
            out = self.quantize(z.float())
        if not isinstance(out, QuantizerOutput):
            raise TypeError(
                f'{type(self).__name__}.quantize must return a QuantizerOutput, got a '
                f'{type(out).__name__}.'
            )
        if not self.training:
            out.finite = z.isfinite().all()
        else:
            out.stats['mean_abs_z'] = z.detach().float().abs().mean()
        out.codes = out.codes.to(z.dtype)
        return out

    def check_indices(self, indices: Tensor) -> Tensor:
        """Indices from outside as int64, checked: most quantizers read a wrong one as another code.

        Waits for the device, so it stands where users hand indices in, not in training.

        Args:
            indices: Whole numbers; with several digits the last axis counts them.

        Raises:
            UserError: They are no whole numbers, have another number of digits, or one is out of
                range.
        """
        if indices.is_floating_point() or indices.is_complex() or indices.dtype == torch.bool:
            raise UserError(
                f'indices must be whole numbers (int64), got {indices.dtype}; convert them '
                f'with .long().'
            )
        indices, sizes = indices.long(), self.codebook_sizes
        if len(sizes) > 1 and indices.shape[-1:] != (len(sizes),):
            raise UserError(
                f'the last axis of indices must have length {len(sizes)}, one for each codebook, '
                f'got the shape {tuple(indices.shape)}.'
            )
        limits = torch.tensor(sizes, device=indices.device)
        wrong = ((indices < 0) | (indices >= limits)).nonzero()
        if len(wrong):
            place = tuple(wrong[0].tolist())
            size = sizes[place[-1] if len(sizes) > 1 else 0]
            raise UserError(
                f'indices must be from 0 to {size - 1} (the codebook has {size} codes), got '
                f'{indices[place].item()}.'
            )
        return indices

    @abstractmethod
    def quantize(self, z: Tensor) -> QuantizerOutput:
        """The work of :meth:`forward`, on float32 (B, in_channels, *grid)."""

    @abstractmethod
    def indices_to_codes(self, indices: Tensor) -> Tensor:
        """int64 (B, *token_shape(grid)) to float32 codes (B, code_dim, *grid)."""


def straight_through(z: Tensor, codes: Tensor) -> Tensor:
    """``codes`` in the forward pass, the gradient of ``z`` in the backward pass.

    The sum is kept as the official code has it: codes come out exact only up to rounding (1e-7 in
        float32).
    """
    return z + (codes - z).detach()
