"""Lookup-free quantization: the code of a vector is given by the signs of its channels (paper
Eq. 1-3; docs/reference/specification.md, Lookup-free quantization).
"""

from collections.abc import Sequence
from functools import reduce
from operator import add

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from openmagvit2.dtypes import exact_matmul
from openmagvit2.errors import UserError, check_choice
from openmagvit2.models.layers.iteration import PerIteration
from openmagvit2.models.layers.sync import all_reduce_mean
from openmagvit2.models.quantizers.base import (
    BaseQuantizer,
    QuantizerOutput,
    channels,
    straight_through,
)
from openmagvit2.registry import QUANTIZERS
from openmagvit2.signatures import Count, Temperature


@QUANTIZERS.register_module()
class LFQ(BaseQuantizer, PerIteration):
    """Quantize to 2^num_bits codes without a table; emit the losses ``entropy`` and ``commitment``.

    ``losses['entropy']`` is the mean entropy of a sample's code distribution minus the entropy of
    the mean distribution (Eq. 3), so it is negative in healthy training. As the codes are all sign
    vectors, the softmax over 2^num_bits codes factorizes over bits: the first term is a sum of
    binary entropies, and the second needs the outer product of two half-codes, averaged by one
    matrix product. This takes tokens * 2^(num_bits/2 + 1) + 2^num_bits numbers of memory and is
    exact.

    Args:
        num_bits: Number of channels of ``z`` and of bits of an index.
        index_bits: Bits of each digit of an index, in the order of the channels; their sum is
            ``num_bits``. None: a single digit, of at most 62 bits.
        projection: Channels of encoder and decoder, if not ``num_bits``; adds a 1x1 convolution
            before and one after quantization.
        temperature: Temperature of the code distribution.
        entropy_groups: Number of equal groups of channels whose codebook entropies are summed: 1 is
            the joint entropy of Eq. 3, ``num_bits`` the sum over single bits (BSQ, Show-o). A group
            needs 2^(num_bits / entropy_groups) numbers.
        entropy_eps: Added inside the logarithm of the codebook entropy; 1e-5 in the official code,
            0 for the true entropy.
        bit_order: 'lsb': channel 0 is the lowest bit (paper Eq. 2, official v2); 'msb': channel 0
            is the highest (official v1).
        entropy_sync: Average the code distribution over all processes and micro-batches, as in one
            large batch; off in the official code. With micro-batches, it costs an extra forward
            pass.
        spherical: Use binary spherical quantization (Zhao et al., 2024): latents are normalized to
            unit length and codes are ±1/sqrt(num_bits). The distribution stays softmax(-|z - c|^2 /
            temperature), but distances are smaller by num_bits: use a higher temperature.
        entropy_weights: Factors of the two terms of the ``entropy`` loss: per-sample entropy and
            codebook entropy.
        gradient_scale: Factor of the straight-through gradient; 1/sqrt(num_bits) in BSQ's code,
            which takes the sign before it scales.

    Raises:
        UserError: ``num_bits`` does not fit int64 or ``index_bits``, ``entropy_groups`` does not
            divide it, or ``bit_order`` is unknown.
    """

    shifts: Tensor
    digits: Tensor

    # Hints in errors about config keys that other quantizers have.
    KEY_HINTS = dict(
        codebook_size='LFQ has 2^num_bits codes; set num_bits',
        levels='LFQ has two levels a channel; set num_bits',
    )

    def __init__(
        self,
        *,
        num_bits: int = 18,
        index_bits: Sequence[int] | None = None,
        projection: Count | None = None,
        temperature: Temperature = 0.01,
        entropy_groups: Count = 1,
        entropy_eps: float = 1e-5,
        bit_order: str = 'lsb',
        entropy_sync: bool = False,
        spherical: bool = False,
        entropy_weights: Sequence[float] = (1.0, 1.0),
        gradient_scale: float = 1.0,
    ) -> None:
        index_bits = [num_bits] if index_bits is None else list(index_bits)
        if sum(index_bits) != num_bits or not all(1 <= bits <= 62 for bits in index_bits):
            raise UserError(
                f'model.quantizer.num_bits must be from 1 to 62 (an index is an int64), or the sum '
                f'of index_bits, each from 1 to 62, got {num_bits} and {index_bits}.'
            )
        check_choice('model.quantizer.bit_order', bit_order, ('lsb', 'msb'))
        if entropy_groups < 1 or num_bits % entropy_groups:
            raise UserError(
                f'model.quantizer.entropy_groups must divide num_bits, got {entropy_groups} groups '
                f'of {num_bits} bits.'
            )
        if len(entropy_weights) != 2:
            raise UserError(
                f'model.quantizer.entropy_weights must be two numbers, got {entropy_weights!r}.'
            )
        super().__init__(width=num_bits, projection=projection)
        self.num_bits, self.index_bits = num_bits, index_bits
        self.codebook_sizes = tuple(2**bits for bits in index_bits)
        step = 1 if bit_order == 'lsb' else -1
        shifts = torch.tensor([place for bits in index_bits for place in range(bits)[::step]])
        digits = torch.tensor([digit for digit, bits in enumerate(index_bits) for _ in range(bits)])
        # For each channel: the position of its bit in a digit, and the digit's number.
        self.register_buffer('shifts', shifts, persistent=False)
        self.register_buffer('digits', digits, persistent=False)
        self.entropy_groups = entropy_groups
        self.temperature = temperature
        self.entropy_eps = entropy_eps
        self.bit_order = bit_order
        self.entropy_sync = self.whole_batch = entropy_sync
        self.spherical = spherical
        self.entropy_weights, self.gradient_scale = tuple(entropy_weights), gradient_scale
        self.unit = num_bits**-0.5 if spherical else 1.0

    def quantize(self, z: Tensor) -> QuantizerOutput:
        """Map ``z`` (B, num_bits, *grid) to its signs times ``unit``; zero counts as negative."""
        if self.spherical:
            z = F.normalize(z, dim=1)
        codes = torch.where(z > 0, self.unit, -self.unit)
        passed = z if self.gradient_scale == 1 else z * self.gradient_scale
        out = QuantizerOutput(straight_through(passed, codes), self._indices(codes))
        if self.training:
            per_sample, codebook = self.entropies(rearrange(z, 'b d ... -> (b ...) d'))
            first, second = self.entropy_weights
            entropy = first * per_sample - second * codebook
            out.losses = dict(entropy=entropy, commitment=F.mse_loss(z, codes))
            out.stats = dict(
                per_sample_entropy=per_sample.detach(), codebook_entropy=codebook.detach()
            )
        return out

    def foresee(self, statistics: list[tuple[Tensor, ...]]) -> Tensor:
        """Return the mean distribution of an iteration, averaged over all processes."""
        return all_reduce_mean(reduce(add, (mean for (mean,) in statistics)) / len(statistics))

    def move(self, statistics: list[tuple[Tensor, ...]]) -> None:
        """Do nothing: only the losses depend on the whole batch."""

    def entropies(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the per-sample and codebook entropies in nats of vectors (M, num_bits), as
        differentiable scalars.
        """
        logits = self._logits(x)
        prob = torch.sigmoid(logits)
        per_sample = (F.softplus(logits) - logits * prob).sum(-1).mean()
        mean = self._mean(prob)
        if self.entropy_sync:
            self.gather(mean.detach())
            if self.foreseen is None:
                mean = all_reduce_mean(mean)
            else:
                # The value is that of the whole batch; micro-batch gradients add up to its own.
                mean = self.foreseen + (mean - mean.detach())
        shifted = mean + self.entropy_eps
        if self.entropy_eps == 0:
            # Keep the gradient finite where a probability underflows to zero.
            shifted = shifted.clamp_min(torch.finfo(mean.dtype).tiny)
        return per_sample, -(mean * shifted.log()).sum()

    def dequantize(self, indices: Tensor) -> Tensor:
        """Map int64 (B, *token_shape(grid)) to signs (B, num_bits, *grid)."""
        single = len(self.index_bits) == 1
        digits = indices.unsqueeze(1) if single else indices.movedim(-1, 1)[:, self.digits]
        return ((digits >> channels(self.shifts, digits) & 1).float() * 2 - 1) * self.unit

    def _indices(self, codes: Tensor) -> Tensor:
        """Map signs (B, num_bits, *grid) to int64 (B, *token_shape(grid))."""
        bits = (codes > 0).long() << channels(self.shifts, codes)
        digits = [part.sum(1) for part in bits.split(self.index_bits, 1)]
        return digits[0] if len(digits) == 1 else torch.stack(digits, -1)

    def _mean(self, prob: Tensor) -> Tensor:
        """Map the probability of each bit being 1, (M, num_bits), to the mean distribution over the
        codes of each group, (entropy_groups, 2^(high half), 2^(low half)); a single group has no
        first axis.
        """
        if self.entropy_groups == 1:
            return _mean_distribution(prob)
        parts = prob.chunk(self.entropy_groups, 1)
        return torch.stack([_mean_distribution(part) for part in parts])

    def _logits(self, x: Tensor) -> Tensor:
        # -|x - c|^2 is 2<x, c> up to a constant; its values for a bit of +unit and one of -unit
        # differ by 4 x unit.
        return 4 * self.unit * x / self.temperature


def _mean_distribution(prob: Tensor) -> Tensor:
    """Map the probability of each bit being 1, (M, num_bits), to the mean distribution over codes,
    (2^(high half), 2^(low half)).
    """
    half = prob.shape[1] // 2
    low = _half_distribution(prob[:, :half])
    # Divide here, one number per vector, and not later, one number per code.
    high = _half_distribution(prob[:, half:], total=1 / len(prob))
    with exact_matmul():
        return high.T @ low


def _half_distribution(prob: Tensor, total: float = 1.0) -> Tensor:
    """Map the probability of each bit being 1, (M, n), to the distribution over 2^n codes (M, 2^n),
    bit 0 lowest, with sum ``total``.
    """
    table = prob.new_full((len(prob), 1), total)
    for bit in prob.unbind(1):
        bit = bit[:, None]
        table = torch.cat([table * (1 - bit), table * bit], 1)
    return table
