"""Index backpropagation quantization (Shi et al., 2025): all rows of the table get gradients, in
bounded memory (docs/reference/specification.md, Index backpropagation).
"""

from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from openmagvit2.models.layers.codebook import Codebook
from openmagvit2.models.layers.precision import exact_matmul
from openmagvit2.models.quantizers.base import BaseQuantizer, QuantizerOutput
from openmagvit2.registry import QUANTIZERS

# Logits that stand in memory at a time.
MAX_ELEMENTS = 2**24


@QUANTIZERS.register_module()
class IBQ(BaseQuantizer, Codebook):
    """The row with the largest inner product; losses ``propagation``, ``commitment``, ``codebook``
    and ``entropy``.

    In value a code is its row. In the backward pass it is the mean of all rows under the softmax
    of the inner products, so that latents and *all* rows get a gradient. Logits (tokens,
    codebook_size) are computed again block by block, and never stand in memory as a whole.

    ``propagation`` is the squared error of these codes, ``commitment`` and ``codebook`` are those
    of VQ, and ``entropy`` is the mean entropy of softmax(logits / temperature) minus the entropy
    of the mean distribution.

    Args:
        codebook_size: Rows of the table, drawn from N(0, 1).
        code_dim: Channels of a row.
        projection: Channels of encoder and decoder where they differ from ``code_dim``, or the same
            number for the official 1x1 convolutions before and after.
        temperature: Temperature of the ``entropy`` loss; 1 for the codes.
        max_elements: Logits that stand in memory at a time.
    """

    def __init__(
        self,
        *,
        codebook_size: int = 16384,
        code_dim: int = 256,
        projection: int | None = None,
        temperature: float = 0.01,
        max_elements: int = MAX_ELEMENTS,
    ) -> None:
        super().__init__(width=code_dim, projection=projection)
        self.add_table(codebook_size, code_dim)
        nn.init.normal_(self.embedding.weight)
        self.codebook_sizes = (codebook_size,)
        self.temperature, self.max_elements = temperature, max_elements

    def quantize(self, z: Tensor) -> QuantizerOutput:
        """Rows for ``z`` (B, code_dim, *grid)."""
        x, table = rearrange(z, 'b d ... -> (b ...) d'), self.table
        rows = largest(x.detach(), table.detach(), self.max_elements)
        codes = _IndexBackpropagation.apply(x, table, rows, self.max_elements)
        out = QuantizerOutput(
            rearrange(codes, '(b n) d -> b d n', b=len(z)).view_as(z),
            rows.view(len(z), *z.shape[2:]),
        )
        if self.training:
            chosen = F.embedding(rows, table)
            per_sample, codebook = _Entropies.apply(x, table, self.temperature, self.max_elements)
            out.losses = dict(
                propagation=F.mse_loss(codes, x),
                commitment=F.mse_loss(x, chosen.detach()),
                codebook=F.mse_loss(chosen, x.detach()),
                entropy=per_sample - codebook,
            )
            out.stats = dict(
                per_sample_entropy=per_sample.detach(), codebook_entropy=codebook.detach()
            )
        return out

    def dequantize(self, indices: Tensor) -> Tensor:
        """int64 (B, *grid) to codes (B, code_dim, *grid)."""
        return F.embedding(indices, self.table).movedim(-1, 1)


def largest(x: Tensor, table: Tensor, max_elements: int = MAX_ELEMENTS) -> Tensor:
    """Number of the row with the largest inner product with each vector, the first of equal ones.

    Args:
        x: Vectors (M, D).
        table: Rows (K, D).
        max_elements: Inner products that stand in memory at a time.

    Returns:
        int64 (M,).
    """
    with exact_matmul():
        return torch.cat(
            [(x[part] @ table.T).argmax(-1) for part in _blocks(x, table, max_elements)]
        )


class _IndexBackpropagation(torch.autograd.Function):
    """Rows of the table forward; backward the gradient of ``softmax(x @ table.T) @ table``, plus
    that of the chosen rows.

    The official form is ``(onehot + p - p.detach()) @ table``.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, table: Tensor, rows: Tensor, max_elements: int) -> Tensor:
        ctx.save_for_backward(x, table, rows)
        ctx.max_elements = max_elements
        return F.embedding(rows, table)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of x and the table, block by block."""
        x, table, rows = ctx.saved_tensors
        dx, dtable = torch.empty_like(x), torch.zeros_like(table)
        with exact_matmul():
            for part in _blocks(x, table, ctx.max_elements):
                p = (x[part] @ table.T).softmax(-1)
                # p * (a - sum(p a)) is the softmax's backward pass, here in place.
                d = gradient[part] @ table.T
                d.sub_((p * d).sum(-1, keepdim=True)).mul_(p)
                dx[part] = d @ table
                dtable.addmm_(d.T, x[part])
        return dx, dtable.index_add_(0, rows, gradient.contiguous()), None, None


class _Entropies(torch.autograd.Function):
    """Mean entropy of ``softmax(x @ table.T / temperature)``, and the entropy of the mean
    distribution with 1e-5 inside its logarithm, as the official code.
    """

    EPS = 1e-5

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, table: Tensor, temperature: float, max_elements: int
    ) -> tuple[Tensor, Tensor]:
        """Return the mean entropy of a token and the entropy of the mean distribution, in nats."""
        mean, total = x.new_zeros(len(table)), x.new_zeros(())
        with exact_matmul():
            for part in _blocks(x, table, max_elements):
                logits = (x[part] @ table.T).div_(temperature).log_softmax(-1)
                p = logits.exp()
                mean += p.sum(0)
                total -= logits.mul_(p).sum()
        mean /= len(x)
        ctx.save_for_backward(x, table, mean)
        ctx.temperature, ctx.max_elements = temperature, max_elements
        return total / len(x), -(mean * (mean + _Entropies.EPS).log()).sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, per_sample: Tensor, codebook: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of x and the table, block by block."""
        x, table, mean = ctx.saved_tensors
        dx, dtable = torch.empty_like(x), torch.zeros_like(table)
        shifted = mean + _Entropies.EPS
        # The derivative of the second entropy by the mean distribution.
        slope = -codebook * (shifted.log() + mean / shifted)
        with exact_matmul():
            for part in _blocks(x, table, ctx.max_elements):
                d = (x[part] @ table.T).div_(ctx.temperature).log_softmax(-1)
                p = d.exp()
                # That of an entropy -sum(p log p) by p is -(log p + 1); the 1 falls out below.
                d.mul_(-per_sample).add_(slope)
                d.sub_((p * d).sum(-1, keepdim=True)).mul_(p).div_(len(x) * ctx.temperature)
                dx[part] = d @ table
                dtable.addmm_(d.T, x[part])
        return dx, dtable, None, None


def _blocks(x: Tensor, table: Tensor, max_elements: int) -> list[slice]:
    """Slices of the vectors whose logits have at most ``max_elements`` numbers."""
    size = max(max_elements // len(table), 1)
    return [slice(start, start + size) for start in range(0, len(x), size)]
