"""Contract of the quantizer slot."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor, nn

from openmagvit2.dtypes import without_autocast
from openmagvit2.errors import UserError
from openmagvit2.models.layers.projection import convolution
from openmagvit2.protocols import CutByHand


@dataclass
class QuantizerOutput:
    """Output of a quantizer for one batch.

    Attributes:
        codes: Quantized vectors (B, D, *grid), in the dtype of ``z``; the straight-through
            estimator passes their gradients to ``z``.
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
        """Raise UserError if the encoder's output is NaN or infinite, whose indices would look like
        any others; synchronizes with the device.

        Args:
            what: How the error refers to the images and, where known, the weights.
        """
        if self.finite is not None and not self.finite:
            raise UserError(
                f'The encoder outputs NaN or infinity for {what}: the weights are damaged, or '
                'training diverged; use another checkpoint.'
            )


class BaseQuantizer(nn.Module, ABC):
    """``quantizer(z (B, in_channels, *grid)) -> QuantizerOutput``.

    A subclass sets ``in_channels``, ``code_dim`` and ``codebook_sizes`` and implements
    :meth:`quantize` and :meth:`indices_to_codes`. A subclass with projections passes ``width`` to
    this class and implements :meth:`dequantize` instead of :meth:`indices_to_codes`. Inputs are
    always float32, even under autocast: in half precision, indices collapse.

    Args:
        width: Number of channels that are quantized; sets ``in_channels`` and ``code_dim``.
        projection: Channels of encoder and decoder; adds the convolutions ``project_in`` before
            and ``project_out`` after quantization. None: ``width``, without convolutions.
        projection_kernel: Kernel size of these convolutions; above 1, grids must be (h, w).

    Attributes:
        in_channels: Number of channels expected from the encoder.
        code_dim: Number of channels of the codes.
        width: Number of channels between the projections.
        fixed_grid: The only grid that the quantizer accepts; None if it accepts any.
        bit_order: 'lsb' or 'msb' if indices are made of bits, else None.
        averages: Whether training updates the table by exponential moving averages.
    """

    in_channels: int
    code_dim: int
    width: int
    fixed_grid: tuple[int, ...] | None = None
    bit_order: str | None = None
    # Not called `projection`, because a user's class may have a part of that name.
    _projects: bool = False
    averages: bool = False

    def __init__(
        self,
        *,
        width: int | None = None,
        projection: int | None = None,
        projection_kernel: int = 1,
    ) -> None:
        super().__init__()
        if width is not None:
            self.width, self.in_channels = width, projection or width
            self.code_dim = self.in_channels
        if projection:
            self._projects = True
            self.project_in = convolution(projection, self.width, projection_kernel)
            self.project_out = convolution(self.width, projection, projection_kernel)

    @cached_property
    def codebook_sizes(self) -> tuple[int, ...]:
        """Number of values of each digit of an index; set by the subclass.

        A class written for version 1 sets ``codebook_size`` instead and, with several codebooks,
        ``num_codebooks``.

        Raises:
            UserError: The subclass sets neither.
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
            UserError: The indices have several digits.
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
        """Return whether the subclass or the instance overrides an attribute of this class."""
        return name in vars(self) or getattr(type(self), name) is not getattr(BaseQuantizer, name)

    @property
    def indivisible(self) -> str | None:
        """Sentence that says why an iteration cannot be cut into micro-batches; None if it can."""
        if isinstance(self, CutByHand) and self.whole_batch:
            return (
                f'{type(self).__name__} has `begin_step` of version 1, which is no longer '
                f'called; derive it from PerIteration and implement `foresee` instead, or set '
                f'accumulative_counts to 1.'
            )
        return None

    def token_shape(self, grid: Sequence[int]) -> tuple[int, ...]:
        """Return the shape of an image's indices: the grid, plus an axis of length k if indices
        have k > 1 digits.
        """
        digits = len(self.codebook_sizes)
        return tuple(grid) if digits == 1 else (*grid, digits)

    def forward(self, z: Tensor) -> QuantizerOutput:
        """Quantize ``z`` (B, in_channels, *grid) in float32 and return the codes in its dtype; in
        training, add the statistic ``mean_abs_z``.
        """
        with without_autocast(z.device):
            out = self.quantize(self.projected(z.float()))
            if not isinstance(out, QuantizerOutput):
                raise TypeError(
                    f'{type(self).__name__}.quantize must return a QuantizerOutput, got a '
                    f'{type(out).__name__}.'
                )
            out.codes = self.projected_back(out.codes)
        if not self.training:
            out.finite = z.isfinite().all()
        else:
            out.stats['mean_abs_z'] = z.detach().float().abs().mean()
        out.codes = out.codes.to(z.dtype)
        return out

    def check_indices(self, indices: Tensor) -> Tensor:
        """Check indices from users and return them as int64.

        Without the check, most quantizers would map an invalid index to some other code. It
        synchronizes with the device, so training does not call it.

        Args:
            indices: Integers; with several digits, the last axis is that of the digits.

        Raises:
            UserError: Indices are not integers, have the wrong number of digits, or are out of
                range.
        """
        if indices.is_floating_point() or indices.is_complex() or indices.dtype == torch.bool:
            raise UserError(
                f'indices must be integers (int64), got {indices.dtype}; convert them with .long().'
            )
        indices, sizes = indices.long(), self.codebook_sizes
        if len(sizes) > 1 and indices.shape[-1:] != (len(sizes),):
            raise UserError(
                f'the last axis of indices must have length {len(sizes)}, one per codebook, '
                f'got shape {tuple(indices.shape)}.'
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

    def projected(self, z: Tensor) -> Tensor:
        """Map (B, in_channels, *grid) to (B, width, *grid)."""
        return self.project_in(z) if self._projects else z

    def projected_back(self, codes: Tensor) -> Tensor:
        """Map (B, width, *grid) to (B, code_dim, *grid)."""
        return self.project_out(codes) if self._projects else codes

    @abstractmethod
    def quantize(self, z: Tensor) -> QuantizerOutput:
        """Quantize float32 (B, width, *grid); :meth:`forward` applies the projections."""

    def indices_to_codes(self, indices: Tensor) -> Tensor:
        """Map int64 (B, *token_shape(grid)) to float32 codes (B, code_dim, *grid)."""
        with without_autocast(indices.device):
            return self.projected_back(self.dequantize(indices))

    def dequantize(self, indices: Tensor) -> Tensor:
        """Map indices to codes before the projection: (B, width, *grid)."""
        raise NotImplementedError(
            f'{type(self).__name__} must implement `dequantize`, or `indices_to_codes` itself.'
        )

    def rows(self, indices: Tensor) -> Tensor:
        """Return the vector of each digit, before any sum or projection.

        Args:
            indices: int64 (B, *token_shape(grid)).

        Returns:
            float32 (B, T, k, d): T cells, k digits per cell and d channels per digit.
        """
        if len(self.codebook_sizes) > 1:
            raise NotImplementedError(f'{type(self).__name__} has no rows of single digits.')
        # Without projections, a class may implement only `indices_to_codes`.
        codes = self.dequantize(indices) if self._projects else self.indices_to_codes(indices)
        return codes.flatten(2).transpose(1, 2)[:, :, None]

    def soft_codes(
        self, z: Tensor, temperature: float, uniform: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Draw indices from softmax(-|z - row|^2 / temperature); return them and the distribution.

        Args:
            z: Latents (B, in_channels, *grid).
            temperature: Temperature of the distribution, above 0.
            uniform: Uniform numbers in [0, 1), one per digit, (B, T, k); None selects the nearest
                row.

        Returns:
            Indices int64 (B, *token_shape(grid)) and distributions float32 (B, T, k, V).

        Raises:
            UserError: The quantizer does not define such a distribution.
        """
        raise UserError(f'{type(self).__name__} has no soft codes; use VQ, or Residual over it.')


def straight_through(z: Tensor, codes: Tensor) -> Tensor:
    """Return ``codes`` and pass their gradient to ``z`` (straight-through estimator).

    The sum is the official code's; it equals ``codes`` up to rounding, 1e-7 in float32.
    """
    return z + (codes - z).detach()


def channels(values: Tensor, like: Tensor) -> Tensor:
    """Reshape channel values (D,) to (1, D, 1, ...), to broadcast with ``like`` (B, ., *grid)."""
    return values.reshape(1, -1, *[1] * (like.dim() - 2))
