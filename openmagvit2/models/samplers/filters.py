"""Temperature, top-k and top-p, in this order."""

import torch
from torch import Tensor

from openmagvit2.dtypes import has_float64
from openmagvit2.models.layers.deterministic import running_sum

# What a CPU sorts first for top-p; a large vocabulary is sorted as a whole only where its
# distribution is flat.
FEW = 1024


def top_k(logits: Tensor, k: int) -> Tensor:
    """Keep logits (..., V) that are not below the k-th largest, ties included; k = 0 keeps all."""
    if not 0 < k < logits.shape[-1]:
        return logits
    return logits.masked_fill(logits < logits.topk(k).values[..., -1:], float('-inf'))


def top_p(logits: Tensor, p: float) -> Tensor:
    """Set logits (..., V) to -inf of tokens before which, from the largest down, more than ``p``
    of the probability lies; 1 keeps all.
    """
    if p >= 1:
        return logits
    probabilities = logits.softmax(-1)
    size = logits.shape[-1]
    # On an accelerator, asking whether a part is enough would wait at each token.
    count = FEW if logits.device.type == 'cpu' else size
    while True:
        count = min(count, size)
        values, order = _largest(probabilities, count)
        dropped = running_sum(values) - values > p
        # The rest is dropped too where the last one looked at is, unless an equal one beyond it
        # should have stood in its place.
        first = values.gather(-1, dropped.long().argmax(-1, keepdim=True))
        if count == size or bool((dropped[..., -1:] & (first > values[..., -1:])).all()):
            break
        count *= 8
    kept = torch.zeros_like(logits, dtype=torch.bool).scatter(-1, order, ~dropped)
    return logits.masked_fill(~kept, float('-inf'))


def _largest(values: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return the ``count`` largest of the last axis, falling, equal ones by their position; and
    their positions.
    """
    if count == values.shape[-1]:
        return values.sort(descending=True, stable=True)
    order = values.topk(count, sorted=False).indices.sort().values
    found, rank = values.gather(-1, order).sort(descending=True, stable=True)
    return found, order.gather(-1, rank)


def draw(logits: Tensor, uniform: Tensor) -> Tensor:
    """Return the inverse of the cumulative distribution of logits (B, V) at uniform numbers (B,):
    int64 (B,).

    In float64 where the device has it, and in float32 elsewhere, which costs no wait for the CPU.

    A uniform number that belongs to the sample, and not a generator shared by the batch, makes a
    sample the same in any batch.
    """
    dtype = torch.float64 if has_float64(logits.device) else torch.float32
    cumulative = running_sum(logits.to(dtype).softmax(-1))
    index = torch.searchsorted(cumulative, uniform[:, None] * cumulative[:, -1:], right=True)[:, 0]
    return index.clamp_max(logits.shape[-1] - 1)
