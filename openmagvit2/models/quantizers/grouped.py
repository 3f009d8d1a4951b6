"""One quantizer shared by several groups of channels (WeTok)."""

from torch import Tensor

from openmagvit2.models.quantizers.base import BaseQuantizer, QuantizerOutput
from openmagvit2.models.quantizers.wrapping import build_inner
from openmagvit2.registry import QUANTIZERS
from openmagvit2.signatures import Count


@QUANTIZERS.register_module()
class Grouped(BaseQuantizer):
    """Split the channels into groups and quantize each by the same quantizer: one digit per group.

    The groups enter the quantizer as a batch that is ``groups`` times as long, so they share its
    codebook, and its losses and statistics are pooled over them: WeTok's codebook entropy is that
    of one distribution over tokens and groups.

    Args:
        quantizer: Config of a quantizer whose indices have a single digit.
        groups: Number of groups; group 0 holds the first channels.
        projection: Channels of encoder and decoder, if not ``groups`` times the quantizer's; adds
            a 1x1 convolution before and one after quantization.
    """

    slots = dict(quantizer=QUANTIZERS)

    def __init__(self, *, quantizer: dict, groups: Count, projection: Count | None = None) -> None:
        inner = build_inner(quantizer, digits=1)
        super().__init__(width=groups * inner.in_channels, projection=projection)
        self.quantizer, self.groups = inner, groups
        self.codebook_sizes = inner.codebook_sizes * groups

    @property
    def indivisible(self) -> str | None:
        """The inner quantizer's reason against micro-batches, or None."""
        return self.quantizer.indivisible

    def quantize(self, z: Tensor) -> QuantizerOutput:
        """Quantize each group of (B, groups * d, *grid)."""
        out = self.quantizer(self._cut(z))
        out.codes = self._joined(out.codes)
        # With a single group, indices have no axis of digits.
        indices = out.indices.unflatten(0, (-1, self.groups)).movedim(1, -1)
        out.indices = indices if self.groups > 1 else indices[..., 0]
        return out

    def dequantize(self, indices: Tensor) -> Tensor:
        """Map int64 (B, *grid, groups) to (B, groups * d, *grid)."""
        indices = indices if self.groups > 1 else indices[..., None]
        return self._joined(self.quantizer.indices_to_codes(indices.movedim(-1, 1).flatten(0, 1)))

    def rows(self, indices: Tensor) -> Tensor:
        """Map int64 (B, *grid, groups) to (B, T, groups, d)."""
        rows = self.quantizer.rows(indices.flatten(1))
        return rows.reshape(len(indices), -1, self.groups, rows.shape[-1])

    def _cut(self, z: Tensor) -> Tensor:
        """Map (B, groups * d, *grid) to (B * groups, d, *grid)."""
        return z.unflatten(1, (self.groups, -1)).flatten(0, 1)

    def _joined(self, codes: Tensor) -> Tensor:
        """Map (B * groups, d, *grid) to (B, groups * d, *grid)."""
        return codes.unflatten(0, (-1, self.groups)).flatten(1, 2)
