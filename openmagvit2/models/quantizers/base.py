"""Contract of the quantizer slot."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from openmagvit2.errors import UserError


@dataclass
class QuantizerOutput:
    """What a quantizer gives for one batch.

    Attributes:
        codes: Quantized vectors (B, D, *grid), in the dtype of ``z``; gradients pass straight
            through to ``z``.
        indices: int64 (B, *grid) in [0, codebook_size).
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

    A subclass implements :meth:`quantize`, :meth:`indices_to_codes` and :meth:`codes_to_indices`
    and sets the attributes. It is always given float32, whatever the autocast: half-precision
    indices collapse.

    Attributes:
        in_channels: Channels wanted from the encoder.
        code_dim: Channels of the codes.
        codebook_size: Number of codes.
        num_codebooks: 1, or the length of a last axis of the indices (residual and grouped
            quantizers).
    """

    in_channels: int
    code_dim: int
    codebook_size: int
    num_codebooks: int = 1

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
            indices: Whole numbers of any shape from 0 to ``codebook_size - 1``.

        Raises:
            UserError: They are no whole numbers, or one is out of range.
        """
        if indices.is_floating_point() or indices.is_complex() or indices.dtype == torch.bool:
            raise UserError(
                f'indices must be whole numbers (int64), got {indices.dtype}; convert them '
                f'with .long().'
            )
        indices = indices.long()
        wrong = indices[(indices < 0) | (indices >= self.codebook_size)]
        if wrong.numel():
            raise UserError(
                f'indices must be from 0 to {self.codebook_size - 1} (the codebook has '
                f'{self.codebook_size} codes), got {wrong[0].item()}.'
            )
        return indices

    @abstractmethod
    def quantize(self, z: Tensor) -> QuantizerOutput:
        """The work of :meth:`forward`, on float32 (B, in_channels, *grid)."""

    @abstractmethod
    def indices_to_codes(self, indices: Tensor) -> Tensor:
        """int64 (B, *grid) to float32 codes (B, code_dim, *grid)."""

    @abstractmethod
    def codes_to_indices(self, codes: Tensor) -> Tensor:
        """Codes (B, code_dim, *grid), as from :meth:`indices_to_codes`, to int64 (B, *grid)."""


def straight_through(z: Tensor, codes: Tensor) -> Tensor:
    """``codes`` in the forward pass, the gradient of ``z`` in the backward pass.

    The sum is kept as the official code has it: codes come out exact only up to rounding (1e-7 in
        float32).
    """
    return z + (codes - z).detach()
