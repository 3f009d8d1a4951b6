"""Multi-scale residual quantization, from coarse to fine token maps (VAR; Infinity)."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from openmagvit2.dtypes import without_autocast
from openmagvit2.errors import UserError, check_choice
from openmagvit2.models.layers.arguments import as_pair
from openmagvit2.models.layers.deterministic import resized
from openmagvit2.models.layers.iteration import one_iteration
from openmagvit2.models.quantizers.base import BaseQuantizer, QuantizerOutput, straight_through
from openmagvit2.models.quantizers.wrapping import asked_again, build_inner, mean_by_name
from openmagvit2.registry import QUANTIZERS
from openmagvit2.signatures import Count

VAR_SCALES = (1, 2, 3, 4, 5, 6, 8, 10, 13, 16)


@QUANTIZERS.register_module()
class MultiScale(BaseQuantizer):
    """Quantize the residual at increasing resolutions; tokens (B, T) are ordered by scale, then in
    raster order.

    At each scale the residual R is resized by area and its cells are quantized. The codes are
    resized to the full grid and pass a convolution ``phi``, h <- (1 - phi_ratio) h + phi_ratio
    phi(h); h is added to the sum F and subtracted from R. The codes are F after the last scale.

    Args:
        quantizer: Config of the quantizer of the cells: ``VQ`` in VAR, a spherical ``LFQ`` in
            Infinity. With k > 1 digits, indices are (B, T, k).
        scales: Height and width, or one number for both, of each scale; the last is the grid.
        num_phi: Number of 3x3 convolutions, shared by neighboring scales; 0 for none (Infinity).
        phi_ratio: Weight of the convolution's output.
        upsample: Interpolation of codes to the full grid: 'bicubic', or 'bilinear' (Infinity).
        gradient: 'sum' (VAR): gradients pass from F to ``z``, and the losses compare each
            scale's F with ``z``: ``codebook`` trains table and convolutions, ``commitment`` the
            encoder. 'scales' (Infinity): gradients pass through each scale's quantizer, whose
            losses are averaged.
        projection: Channels of encoder and decoder; adds a convolution before and one after
            quantization. None: the quantizer's channels, without convolutions.
        projection_kernel: Kernel size of these convolutions; 3 in VAR.
    """

    slots = dict(quantizer=QUANTIZERS)

    def __init__(
        self,
        *,
        quantizer: dict,
        scales: Sequence[int | Sequence[int]] = VAR_SCALES,
        num_phi: int = 4,
        phi_ratio: float = 0.5,
        upsample: str = 'bicubic',
        gradient: str = 'sum',
        projection: Count | None = None,
        projection_kernel: Count = 1,
    ) -> None:
        if not scales:
            raise UserError('model.quantizer.scales must have at least one scale.')
        check_choice('model.quantizer.upsample', upsample, ('bicubic', 'bilinear'))
        check_choice('model.quantizer.gradient', gradient, ('sum', 'scales'))
        inner = build_inner(quantizer)
        width = inner.in_channels
        super().__init__(width=width, projection=projection, projection_kernel=projection_kernel)
        self.quantizer = inner
        self.codebook_sizes = inner.codebook_sizes
        self.scales = [as_pair(s) for s in scales]
        self.fixed_grid = self.scales[-1]
        self.phi_ratio, self.upsample, self.gradient = phi_ratio, upsample, gradient
        self.phi = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(num_phi))

    @property
    def groups(self) -> tuple[int, ...]:
        """Number of tokens of each scale."""
        return tuple(height * width for height, width in self.scales)

    def token_shape(self, grid: Sequence[int]) -> tuple[int, ...]:
        """Return (T,), or (T, k) with k > 1 digits; T counts the tokens of all scales.

        Raises:
            UserError: ``grid`` is not the last scale.
        """
        if tuple(grid) != self.scales[-1]:
            raise UserError(
                f'model.quantizer.scales ends with {self.scales[-1]}, but the latent grid '
                f'is {tuple(grid)}; use images of another size or other scales.'
            )
        digits = len(self.codebook_sizes)
        return (sum(self.groups),) if digits == 1 else (sum(self.groups), digits)

    @property
    def indivisible(self) -> str | None:
        """Reason why an iteration cannot be cut into micro-batches, or None."""
        return asked_again(self, self.quantizer)

    def quantize(self, z: Tensor) -> QuantizerOutput:
        """Quantize (B, D, h, w) scale by scale."""
        self.token_shape(z.shape[2:])
        whole = self.gradient == 'sum'
        rest, sums, outs = z.detach() if whole else z, [torch.zeros_like(z)], []
        with one_iteration(self.quantizer):
            for s, size in enumerate(self.scales):
                out = self.quantizer(resized(rest, size, 'area'))
                # With 'sum', use the rows themselves, so that their gradient reaches the table.
                codes = self.quantizer.indices_to_codes(out.indices) if whole else out.codes
                step = self._spread(codes, s)
                rest = rest - step.detach()
                sums.append(sums[-1] + step)
                outs.append(out)
        losses = mean_by_name([out.losses for out in outs])
        if whole and self.training:
            losses.pop('codebook', None)
            errors = [F.mse_loss(z, x.detach()) for x in sums[1:]]
            losses['commitment'] = torch.stack(errors).mean()
            if sums[-1].requires_grad:
                errors = [F.mse_loss(x, z.detach()) for x in sums[1:]]
                losses['codebook'] = torch.stack(errors).mean()
        return QuantizerOutput(
            straight_through(z, sums[-1].detach()) if whole else sums[-1],
            torch.cat([out.indices.flatten(1, 2) for out in outs], 1),
            losses,
            mean_by_name([out.stats for out in outs]),
        )

    def dequantize(self, indices: Tensor) -> Tensor:
        """Map int64 (B, T) or (B, T, k) to the sum over scales (B, D, h, w)."""
        first, *others = indices.split(self.groups, 1)
        total = self.accumulate(None, first, 0)
        for s, part in enumerate(others, 1):
            total = self.accumulate(total, part, s)
        return total

    def rows(self, indices: Tensor) -> Tensor:
        """Map int64 (B, T) or (B, T, k) to the quantizer's rows (B, T, k, d)."""
        return self.quantizer.rows(indices)

    def accumulate(self, total: Tensor | None, indices: Tensor, s: int) -> Tensor:
        """Add the codes of a scale to the sum of the previous scales.

        Args:
            total: Sum so far (B, D, h, w), before the projection; None at scale 0.
            indices: Tokens of the scale, int64 (B, groups[s]) or (B, groups[s], k).
            s: Number of the scale, from 0.

        Returns:
            The new sum (B, D, h, w).
        """
        with without_autocast(indices.device):
            cells = indices.unflatten(1, self.scales[s])
            return self.add(total, self.quantizer.indices_to_codes(cells), s)

    def add(self, total: Tensor | None, codes: Tensor, s: int) -> Tensor:
        """Do what :meth:`accumulate` does for ``codes`` (B, D, *scales[s]) instead of indices; they
        may be mixtures of codes.
        """
        step = self._spread(codes, s)
        return step if total is None else total + step

    def next_input(self, total: Tensor, s: int) -> Tensor:
        """Return the input of a generator at scale ``s``: the sum (B, D, h, w) of the previous
        scales, resized by area to (B, groups[s], D).
        """
        return resized(total, self.scales[s], 'area').flatten(2).transpose(1, 2)

    def teacher_inputs(self, indices: Tensor) -> Tensor:
        """Return teacher forcing inputs (B, T - groups[0], D) for tokens (B, T) or (B, T, k):
        :meth:`next_input` of all scales but the first.
        """
        total, inputs = None, []
        for s, part in enumerate(indices.split(self.groups, 1)[:-1]):
            total = self.accumulate(total, part, s)
            inputs.append(self.next_input(total, s + 1))
        return torch.cat(inputs, 1)

    def _spread(self, codes: Tensor, s: int) -> Tensor:
        """Resize a scale's codes (B, D, *scales[s]) to the full grid and apply its convolution."""
        h = resized(codes, self.scales[-1], self.upsample)
        if not self.phi:
            return h
        return h * (1 - self.phi_ratio) + self.phi[self._phi(s)](h) * self.phi_ratio

    def _phi(self, s: int) -> int:
        """Return the number of a scale's convolution: the tick nearest to the scale's position in
        [0, 1], as in VAR.
        """
        count = len(self.phi)
        margin = 1 / 3 / count if count == 4 else 1 / 2 / count
        ticks = np.linspace(margin, 1 - margin, count)
        return int(np.argmin(np.abs(ticks - s / max(len(self.scales) - 1, 1))))
