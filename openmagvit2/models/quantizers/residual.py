"""Residual quantization (Lee et al., 2022): a sum of codes, each of the previous ones' residual."""

from functools import reduce
from operator import add

import torch
from torch import Tensor

from openmagvit2.dtypes import without_autocast
from openmagvit2.errors import UserError
from openmagvit2.models.layers.iteration import PerIteration, each_pass, one_iteration
from openmagvit2.models.quantizers.base import BaseQuantizer, QuantizerOutput, straight_through
from openmagvit2.models.quantizers.wrapping import asked_again, build_inner, mean_by_name
from openmagvit2.registry import QUANTIZERS
from openmagvit2.signatures import Count


@QUANTIZERS.register_module()
class Residual(BaseQuantizer, PerIteration):
    """Quantize the residual repeatedly with the same quantizer: one digit per depth.

    With ``r_0 = z``, depth d selects the code ``c_d`` of ``r_{d-1}`` and leaves ``r_d = r_{d-1} -
    c_d``; the output is the sum of all ``c_d``, straight through to ``z``. Losses and statistics of
    the quantizer are averaged over depths: as ``r_{d-1} - c_d`` is ``z`` minus the sum so far, the
    commitment loss is that of RQ-VAE, mean_d |z - sum_{j <= d} c_j|^2. The first n digits decode to
    the sum of the first n codes.

    As in RQ-VAE, an EMA table is updated within the pass: depth d + 1 uses the table that depth d
    has updated. Such an iteration cannot be cut into micro-batches.

    Args:
        quantizer: Config of a quantizer whose indices have a single digit.
        depth: Number of codes per cell.
        projection: Channels of encoder and decoder, if not the quantizer's; adds a 1x1 convolution
            before and one after quantization.

    Raises:
        UserError: In training, a second pass of an iteration would update an EMA table again.
    """

    slots = dict(quantizer=QUANTIZERS)

    def __init__(self, *, quantizer: dict, depth: Count, projection: Count | None = None) -> None:
        inner = build_inner(quantizer, digits=1)
        super().__init__(width=inner.in_channels, projection=projection)
        self.quantizer, self.depth = inner, depth
        self.codebook_sizes = inner.codebook_sizes * depth

    @property
    def indivisible(self) -> str | None:
        """Reason why an iteration cannot be cut into micro-batches, or None."""
        if not self.quantizer.averages:
            return asked_again(self, self.quantizer)
        return (
            f'{type(self).__name__} over a table of running averages moves it in each pass, so an '
            f'iteration cannot be cut into micro-batches; set accumulative_counts to 1, or let '
            f'gradients move the table (ema_decay=None).'
        )

    def quantize(self, z: Tensor) -> QuantizerOutput:
        """Quantize (B, D, *grid) ``depth`` times.

        Raises:
            UserError: The quantizer updates its table in each pass, and an iteration has several.
        """
        moves = self.training and self.quantizer.averages
        if moves and self.gathered:
            raise UserError(f'model.quantizer: {self.indivisible}')
        residual, total, outs = z, torch.zeros_like(z), []
        with (each_pass if moves else one_iteration)(self.quantizer):
            for _ in range(self.depth):
                outs.append(self.quantizer(residual))
                code = outs[-1].codes.detach()
                residual, total = residual - code, total + code
        if self.training:
            self.gather()
        return QuantizerOutput(
            straight_through(z, total),
            outs[0].indices if self.depth == 1 else torch.stack([out.indices for out in outs], -1),
            mean_by_name([out.losses for out in outs]),
            mean_by_name([out.stats for out in outs]),
        )

    def move(self, statistics: list[tuple[Tensor, ...]]) -> None:
        """Do nothing: each pass has updated the table already; gathering only counts the passes."""

    def dequantize(self, indices: Tensor) -> Tensor:
        """Map the first n digits int64 (B, *grid, n) to the sum of their codes (B, D, *grid)."""
        digits = [indices] if self.depth == 1 else indices.unbind(-1)
        return reduce(add, (self.quantizer.indices_to_codes(digit) for digit in digits))

    def rows(self, indices: Tensor) -> Tensor:
        """Map int64 (B, *grid, depth) to (B, T, depth, D)."""
        rows = self.quantizer.rows(indices.flatten(1))
        return rows.reshape(len(indices), -1, self.depth, rows.shape[-1])

    @torch.no_grad()
    def soft_codes(
        self, z: Tensor, temperature: float, uniform: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """See :meth:`BaseQuantizer.soft_codes`; the code drawn at a depth is subtracted from the
        residual of the next.
        """
        with without_autocast(z.device):
            residual, drawn = self.projected(z.float()), []
            for depth in range(self.depth):
                part = None if uniform is None else uniform[..., depth : depth + 1]
                drawn.append(self.quantizer.soft_codes(residual, temperature, part))
                residual = residual - self.quantizer.indices_to_codes(drawn[-1][0])
        indices, targets = zip(*drawn, strict=True)
        return (
            indices[0] if self.depth == 1 else torch.stack(indices, -1),
            torch.cat(targets, 2),
        )
