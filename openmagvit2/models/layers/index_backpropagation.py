"""Table lookup with gradients for all rows, and the entropies of the distribution over rows, in
bounded memory (docs/reference/specification.md, Index backpropagation).
"""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from openmagvit2.dtypes import exact_matmul

# Added inside the logarithm of the mean distribution, as in the official code.
EPS = 1e-5


class IndexCodes(NamedTuple):
    """Result of :func:`index_codes` for M vectors of D channels.

    Attributes:
        codes: Selected rows (M, D), with a gradient through ``p = softmax(x @ table.T)`` in
            addition to their own; in the official code, ``(onehot + p - p.detach()) @ table``.
        chosen: The same rows with only their own gradient.
        rows: Row numbers, int64 (M,): the largest inner product, the first in a tie.
        per_sample: Mean entropy of ``softmax(x @ table.T / temperature)``, in nats; 0 without a
            temperature.
        codebook: Entropy of the mean of these distributions, in nats; 0 without a temperature.
    """

    codes: Tensor
    chosen: Tensor
    rows: Tensor
    per_sample: Tensor
    codebook: Tensor


def index_codes(
    x: Tensor, table: Tensor, temperature: float | None, max_elements: int
) -> IndexCodes:
    """Quantize vectors by their largest inner product.

    Inner products are computed block by block, once forward and once backward, where all gradients
    share the costly product with the rows.

    Args:
        x: Vectors (M, D).
        table: Rows (K, D).
        temperature: Temperature of the entropies; None skips them.
        max_elements: Maximum number of inner products in memory at a time.
    """
    return IndexCodes(*_IndexBackpropagation.apply(x, table, temperature, max_elements))


class _IndexBackpropagation(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, table: Tensor, temperature: float | None, max_elements: int
    ) -> tuple[Tensor, ...]:
        """Return the fields of :class:`IndexCodes`."""
        rows, mean, total = [], x.new_zeros(len(table)), x.new_zeros(())
        with exact_matmul():
            for part in _blocks(x, table, max_elements):
                logits = x[part] @ table.T
                rows.append(logits.argmax(-1))
                if temperature is not None:
                    logits = logits.div_(temperature).log_softmax(-1)
                    p = logits.exp()
                    mean += p.sum(0)
                    total -= logits.mul_(p).sum()
        numbers = torch.cat(rows)
        mean /= len(x)
        ctx.save_for_backward(x, table, numbers, mean)
        ctx.temperature, ctx.max_elements = temperature, max_elements
        ctx.mark_non_differentiable(numbers)
        ctx.set_materialize_grads(False)
        codes = F.embedding(numbers, table)
        codebook = -(mean * (mean + EPS).log()).sum()
        return codes, codes.clone(), numbers, total / len(x), codebook

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any,
        codes: Tensor | None,
        chosen: Tensor | None,
        _: None,
        per_sample: Tensor | None,
        codebook: Tensor | None,
    ) -> tuple[Tensor | None, ...]:
        """Return the gradients of ``x`` and ``table``."""
        x, table, rows, mean = ctx.saved_tensors
        dx, dtable = None, torch.zeros_like(table)
        if codes is not None or per_sample is not None or codebook is not None:
            dx = torch.empty_like(x)
            slope = _slope(mean, codebook)
            with exact_matmul():
                for part in _blocks(x, table, ctx.max_elements):
                    logits = x[part] @ table.T
                    gradient = None if codes is None else codes[part] @ table.T
                    d = _of_logits(logits, gradient, per_sample, slope, len(x), ctx.temperature)
                    dx[part] = d @ table
                    dtable.addmm_(d.T, x[part])
        for gradient in (codes, chosen):
            if gradient is not None:
                dtable.index_add_(0, rows, gradient.contiguous())
        return dx, dtable, None, None


def _slope(mean: Tensor, codebook: Tensor | None) -> Tensor | None:
    """Return the gradient of the mean distribution, given that of its entropy."""
    if codebook is None:
        return None
    shifted = mean + EPS
    return -codebook * (shifted.log() + mean / shifted)


def _of_logits(
    logits: Tensor,
    codes: Tensor | None,
    per_sample: Tensor | None,
    slope: Tensor | None,
    count: int,
    temperature: float,
) -> Tensor:
    """Return the gradient of a block of logits, computed in place.

    Args:
        logits: (m, K); overwritten.
        codes: Inner products of the codes' gradient and the rows, (m, K); overwritten.
        per_sample: Gradient of the mean per-sample entropy.
        slope: Gradient of the mean distribution, (K,).
        count: Total number of vectors, over which the two entropies average.
        temperature: Temperature of the entropies.
    """
    terms = []
    if codes is not None:
        terms.append(_through_softmax(logits.softmax(-1), codes))
    if per_sample is not None or slope is not None:
        log = logits.div_(temperature).log_softmax(-1)
        p = log.exp()
        # The derivative of -sum(p log p) by p is -(log p + 1); the softmax cancels the 1.
        d = log.mul_(0.0 if per_sample is None else -per_sample)
        d = d if slope is None else d.add_(slope)
        terms.append(_through_softmax(p, d).div_(count * temperature))
    return terms[0] if len(terms) == 1 else terms[0].add_(terms[1])


def _through_softmax(p: Tensor, gradient: Tensor) -> Tensor:
    """Return p (g - sum(p g)) for each row, the gradient through the softmax; in place."""
    return gradient.sub_((p * gradient).sum(-1, keepdim=True)).mul_(p)


def _blocks(x: Tensor, table: Tensor, max_elements: int) -> list[slice]:
    """Return slices of the vectors such that a slice has at most ``max_elements`` logits."""
    size = max(max_elements // len(table), 1)
    return [slice(start, start + size) for start in range(0, len(x), size)]
