"""Top-k and top-p filters, and the draw from a distribution."""

import torch
from torch import Tensor

from openmagvit2.dtypes import has_float64
from openmagvit2.models.layers.deterministic import running_sum

# How many logits a CPU sorts first for top-p; it sorts all of a large vocabulary only if the
# distribution is flat.
FEW = 1024


def top_k(logits: Tensor, k: int) -> Tensor:
    """Keep the k largest logits (..., V), ties included, and set others to -inf; 0 keeps all."""
    if not 0 < k < logits.shape[-1]:
        return logits
    return logits.masked_fill(logits < logits.topk(k).values[..., -1:], float('-inf'))


def top_p(logits: Tensor, p: float) -> Tensor:
    """Set logits (..., V) outside the nucleus to -inf: a token is dropped if those before it, in
    descending order, have a total probability above ``p``; 1 keeps all.
    """
    if p >= 1:
        return logits
    probabilities = logits.softmax(-1)
    size = logits.shape[-1]
    # On an accelerator, checking whether a part is enough would synchronize at each token.
    count = FEW if logits.device.type == 'cpu' else size
    while True:
        count = min(count, size)
        values, order = _largest(probabilities, count)
        dropped = running_sum(values) - values > p
        # If the last sorted token is dropped, so are all unsorted ones, unless the cut falls among
        # its ties, of which an unsorted one may have an earlier position.
        first = values.gather(-1, dropped.long().argmax(-1, keepdim=True))
        if count == size or bool((dropped[..., -1:] & (first > values[..., -1:])).all()):
            break
        count *= 8
    kept = torch.zeros_like(logits, dtype=torch.bool).scatter(-1, order, ~dropped)
    return logits.masked_fill(~kept, float('-inf'))


def _largest(values: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return the ``count`` largest values of the last axis in descending order, and their
    positions; ties are sorted by position.
    """
    if count == values.shape[-1]:
        return values.sort(descending=True, stable=True)
    order = values.topk(count, sorted=False).indices.sort().values
    found, rank = values.gather(-1, order).sort(descending=True, stable=True)
    return found, order.gather(-1, rank)


def draw(logits: Tensor, uniform: Tensor) -> Tensor:
    """Draw from logits (B, V) by inverting their cumulative distribution at uniform numbers (B,);
    return int64 (B,).

    Computed in float64 if the device supports it, else in float32, so that nothing waits for the
    CPU. As each sample has its own uniform number, and the batch shares no random generator, a
    sample is the same in any batch.
    """
    dtype = torch.float64 if has_float64(logits.device) else torch.float32
    cumulative = running_sum(logits.to(dtype).softmax(-1))
    index = torch.searchsorted(cumulative, uniform[:, None] * cumulative[:, -1:], right=True)[:, 0]
    return index.clamp_max(logits.shape[-1] - 1)
