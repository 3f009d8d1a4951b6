"""Lookup-free quantization (paper Eq. 1-3, spec §1.1): the code of a vector is the signs of its
channels.
"""

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from openmagvit2.errors import UserError
from openmagvit2.models.layers.iteration import PerIteration
from openmagvit2.models.layers.precision import exact_matmul
from openmagvit2.models.quantizers.base import BaseQuantizer, QuantizerOutput, straight_through
from openmagvit2.models.quantizers.sync import all_reduce_mean
from openmagvit2.registry import QUANTIZERS


@QUANTIZERS.register_module()
class LFQ(BaseQuantizer, PerIteration):
    """2^num_bits codes without a table; losses ``entropy`` and ``commitment``.

    ``losses['entropy']`` is the mean entropy of a sample's code distribution minus the entropy of
    the mean distribution (Eq. 3), so it is negative in healthy training. As codes are all sign
    vectors, the softmax over 2^num_bits codes factorises over bits: the first term is a sum of
    binary entropies, the second needs the outer product of two half-codes, averaged by one matrix
    product. Memory is tokens * 2^(num_bits/2 + 1) + 2^num_bits numbers and the value is exact.

    Args:
        num_bits: Channels of ``z``, bits of an index.
        temperature: Of the code distribution.
        entropy_eps: Added inside the logarithm of the codebook entropy; 1e-5 as the official code,
            0 for the true entropy.
        bit_order: 'lsb': channel 0 is the lowest bit (paper Eq. 2, official v2); 'msb': the highest
            (official v1).
        entropy_sync: Average the code distribution over all processes and micro-batches, as one
            large batch; off in the official code. With micro-batches it costs a forward pass more.
        spherical: Binary spherical quantization (Zhao et al., 2024): latents are brought to unit
            length and codes are ±1/sqrt(num_bits). The distribution stays softmax(-|z - c|^2 /
            temperature), whose distances are smaller by num_bits: use a higher temperature.
    """

    # What a config's error says of keys that other quantizers have.
    KEY_HINTS = dict(
        codebook_size='LFQ has 2^num_bits codes; set num_bits',
        levels='LFQ has two levels a channel; set num_bits',
    )

    def __init__(
        self,
        *,
        num_bits: int = 18,
        temperature: float = 0.01,
        entropy_eps: float = 1e-5,
        bit_order: str = 'lsb',
        entropy_sync: bool = False,
        spherical: bool = False,
    ) -> None:
        super().__init__()
        if not 1 <= num_bits <= 62:
            raise UserError(
                f'model.quantizer.num_bits must be from 1 to 62 (an index is an int64), got '
                f'{num_bits}.'
            )
        if bit_order not in ('lsb', 'msb'):
            raise UserError(f"model.quantizer.bit_order must be 'lsb' or 'msb', got {bit_order!r}.")
        self.in_channels = self.code_dim = self.num_bits = num_bits
        self.codebook_sizes = (2**num_bits,)
        self.temperature = temperature
        self.entropy_eps = entropy_eps
        self.bit_order = bit_order
        self.entropy_sync = self.whole_batch = entropy_sync
        self.spherical = spherical
        self.unit = num_bits**-0.5 if spherical else 1.0

    def quantize(self, z: Tensor) -> QuantizerOutput:
        """Signs of ``z`` (B, num_bits, *grid), times ``unit``; zero counts as negative."""
        z = self._prepared(z)
        codes = torch.where(z > 0, self.unit, -self.unit)
        out = QuantizerOutput(straight_through(z, codes), self.codes_to_indices(codes))
        if self.training:
            per_sample, codebook = self.entropies(_rows(z))
            out.losses = dict(entropy=per_sample - codebook, commitment=F.mse_loss(z, codes))
            out.stats = dict(
                per_sample_entropy=per_sample.detach(), codebook_entropy=codebook.detach()
            )
        return out

    def foresee(self, statistics: list[tuple[Tensor, ...]]) -> Tensor:
        """The mean distribution of an iteration over all processes."""
        return all_reduce_mean(sum(mean for (mean,) in statistics) / len(statistics))

    def move(self, statistics: list[tuple[Tensor, ...]]) -> None:
        """Nothing: the losses alone are of a whole batch."""

    def entropies(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Per-sample and codebook entropy in nats of vectors (M, num_bits); both differentiable
        scalars.
        """
        logits = self._logits(x)
        prob = torch.sigmoid(logits)
        per_sample = (F.softplus(logits) - logits * prob).sum(-1).mean()
        mean = _mean_distribution(prob)
        if self.entropy_sync:
            self.gather(mean.detach())
            # The value of the whole batch; the gradients of the parts add up to its own.
            mean = (
                all_reduce_mean(mean)
                if self.foreseen is None
                else self.foreseen + (mean - mean.detach())
            )
        # The clamp keeps the gradient finite where a probability underflows to zero and entropy_eps
        # is 0.
        log_mean = (mean + self.entropy_eps).clamp_min(torch.finfo(mean.dtype).tiny).log()
        return per_sample, -(mean * log_mean).sum()

    def indices_to_codes(self, indices: Tensor) -> Tensor:
        """int64 (B, *grid) to signs (B, num_bits, *grid)."""
        bits = indices.unsqueeze(1) >> _column(self._shifts(), indices.dim(), indices.device) & 1
        return (bits.float() * 2 - 1) * self.unit

    def codes_to_indices(self, codes: Tensor) -> Tensor:
        """Signs (B, num_bits, *grid) to int64 (B, *grid)."""
        weights = 2 ** _column(self._shifts(), codes.dim() - 1, codes.device)
        return ((codes > 0).long() * weights).sum(1)

    def _prepared(self, z: Tensor) -> Tensor:
        return F.normalize(z, dim=1) if self.spherical else z

    def _logits(self, x: Tensor) -> Tensor:
        # -|x - c|^2 is 2<x, c> up to a constant; between the two values ±unit of a bit this differs
        # by 4 x unit.
        return 4 * self.unit * x / self.temperature

    def _shifts(self) -> list[int]:
        shifts = list(range(self.num_bits))
        return shifts if self.bit_order == 'lsb' else shifts[::-1]


def _column(values: list[int], ndim: int, device: torch.device) -> Tensor:
    """Values along axis 1 of an (ndim + 1)-dimensional tensor of ones elsewhere."""
    return torch.tensor(values, device=device).reshape(1, -1, *[1] * (ndim - 1))


def _rows(z: Tensor) -> Tensor:
    return rearrange(z, 'b d ... -> (b ...) d')


def _mean_distribution(prob: Tensor) -> Tensor:
    """Probabilities of a bit being 1 (M, num_bits) to the mean distribution over codes (2^(high
    half), 2^(low half)).
    """
    half = prob.shape[1] // 2
    low, high = _half_distribution(prob[:, :half]), _half_distribution(prob[:, half:])
    with exact_matmul():
        return high.T @ low / len(prob)


def _half_distribution(prob: Tensor) -> Tensor:
    """Probabilities of a bit being 1 (M, n) to the distribution over the 2^n codes (M, 2^n), bit 0
    fastest.
    """
    table = prob.new_ones(len(prob), 1)
    for bit in prob.unbind(1):
        bit = bit[:, None]
        table = torch.cat([table * (1 - bit), table * bit], 1)
    return table
