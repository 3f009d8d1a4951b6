"""Contract of the quantizer slot."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor, nn

from openmagvit2.dtypes import without_autocast
from openmagvit2.errors import UserError
from openmagvit2.models.layers.projection import convolution
from openmagvit2.protocols import CutByHand


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
            what: The images, and the weights where known, as the error names them.

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
    :meth:`quantize` and :meth:`indices_to_codes`; one with projections hands ``width`` up and
    implements :meth:`dequantize` instead of the latter. It is always given float32, whatever the
    autocast: half-precision indices collapse.

    Args:
        width: Channels that the subclass works on; sets ``in_channels`` and ``code_dim``.
        projection: Channels of encoder and decoder where they differ from ``width``: a convolution
            ``project_in`` before and one ``project_out`` after; None: none.
        projection_kernel: Size of these convolutions; above 1 grids must be (h, w).

    Attributes:
        in_channels: Channels wanted from the encoder.
        code_dim: Channels of the codes.
        width: Channels inside, between the projections.
        fixed_grid: The one grid that it takes; None: any.
        bit_order: 'lsb' or 'msb' where indices count bits; None elsewhere.
        averages: Whether training passes move a table by running averages.
        test_arguments, test_grids: Arguments and grids that the contract's test tries.
    """

    in_channels: int
    code_dim: int
    width: int
    fixed_grid: tuple[int, ...] | None = None
    bit_order: str | None = None
    # Not `projection`: a user's class may have a part of that name.
    _projects: bool = False
    averages: bool = False
    test_arguments: ClassVar[dict] = {}
    test_grids: ClassVar[list[tuple[int, ...]]] = [(7,), (4, 6), (2, 3, 4)]

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
        """Number of values of each digit of an index; a class sets it.

        A class written for version 1 sets ``codebook_size`` and, with several codebooks,
        ``num_codebooks`` instead.

        Raises:
            UserError: The class does not set it.
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
        """Return whether the class or the instance sets an attribute that this class derives."""
        return name in vars(self) or getattr(type(self), name) is not getattr(BaseQuantizer, name)

    @property
    def indivisible(self) -> str | None:
        """Why an iteration cannot be cut into micro-batches, a sentence; None where it can."""
        if isinstance(self, CutByHand) and self.whole_batch:
            return (
                f'{type(self).__name__} has `begin_step` of version 1, which nobody calls any '
                f'more; derive it from PerIteration and implement `foresee` instead, or set '
                f'accumulative_counts to 1.'
            )
        return None

    def token_shape(self, grid: Sequence[int]) -> tuple[int, ...]:
        """Return the axes of an image's indices: the grid, with k > 1 digits one more axis of
        length k.
        """
        digits = len(self.codebook_sizes)
        return tuple(grid) if digits == 1 else (*grid, digits)

    def forward(self, z: Tensor) -> QuantizerOutput:
        """Quantize (B, in_channels, *grid) in float32 and give the codes back in the dtype of
        ``z``; in training with a stat ``mean_abs_z``.
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
        """Check indices from outside and return them as int64: most quantizers read a wrong one as
        another code.

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

    def projected(self, z: Tensor) -> Tensor:
        """Map (B, in_channels, *grid) to (B, width, *grid)."""
        return self.project_in(z) if self._projects else z

    def projected_back(self, codes: Tensor) -> Tensor:
        """Map (B, width, *grid) to (B, code_dim, *grid)."""
        return self.project_out(codes) if self._projects else codes

    @abstractmethod
    def quantize(self, z: Tensor) -> QuantizerOutput:
        """Do the work of :meth:`forward` between the projections, on float32 (B, width, *grid)."""

    def indices_to_codes(self, indices: Tensor) -> Tensor:
        """Map int64 (B, *token_shape(grid)) to float32 codes (B, code_dim, *grid)."""
        with without_autocast(indices.device):
            return self.projected_back(self.dequantize(indices))

    def dequantize(self, indices: Tensor) -> Tensor:
        """Do the work of :meth:`indices_to_codes` before the projection: (B, width, *grid)."""
        raise NotImplementedError(
            f'{type(self).__name__} must implement `dequantize`, or `indices_to_codes` itself.'
        )

    def rows(self, indices: Tensor) -> Tensor:
        """Return what each digit stands for, before any sum or projection.

        Args:
            indices: int64 (B, *token_shape(grid)).

        Returns:
            float32 (B, T, k, d) of T cells, k digits and d channels for each.
        """
        if len(self.codebook_sizes) > 1:
            raise NotImplementedError(f'{type(self).__name__} has no rows of single digits.')
        # Without projections a class may implement `indices_to_codes` alone.
        codes = self.dequantize(indices) if self._projects else self.indices_to_codes(indices)
        return codes.flatten(2).transpose(1, 2)[:, :, None]

    def soft_codes(
        self, z: Tensor, temperature: float, uniform: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return indices drawn from softmax(-|z - row|^2 / temperature), and that distribution.

        Args:
            z: Latents (B, in_channels, *grid).
            temperature: Temperature of the distribution, above 0.
            uniform: One number in [0, 1) for each digit of an index, (B, T, k); None: take the
                nearest row.

        Returns:
            Indices int64 (B, *token_shape(grid)) and distributions float32 (B, T, k, V).

        Raises:
            UserError: The quantizer has no such distribution.
        """
        raise UserError(f'{type(self).__name__} has no soft codes; use VQ, or Residual over it.')


def straight_through(z: Tensor, codes: Tensor) -> Tensor:
    """Return ``codes`` in the forward pass, the gradient of ``z`` in the backward pass.

    The sum is that of the official code: codes come out exact up to rounding, 1e-7 in float32.
    """
    return z + (codes - z).detach()


def channels(values: Tensor, like: Tensor) -> Tensor:
    """Shape numbers (D,) of the channels to meet maps ``like`` (B, ., *grid): (1, D, 1, ...)."""
    return values.reshape(1, -1, *[1] * (like.dim() - 2))
