"""Temperature, top-k and top-p, in this order (spec §5.1)."""

import torch
from torch import Tensor


def top_k(logits: Tensor, k: int) -> Tensor:
    """Keep logits (..., V) that are not below the k-th largest, ties included; k = 0 keeps all."""
    if not 0 < k < logits.shape[-1]:
        return logits
    return logits.masked_fill(logits < logits.topk(k).values[..., -1:], float('-inf'))


def top_p(logits: Tensor, p: float) -> Tensor:
    """Drop tokens before which, from the largest down, more than ``p`` of the probability lies; 1 keeps all."""
    if p >= 1:
        return logits
    values, order = logits.sort(descending=True, stable=True)
    probabilities = values.softmax(-1)
    dropped = probabilities.cumsum(-1) - probabilities > p
    return logits.masked_fill(dropped.scatter(-1, order, dropped), float('-inf'))


def draw(logits: Tensor, uniform: Tensor) -> Tensor:
    """The inverse of the cumulative distribution of logits (B, V) at uniform numbers (B,), in float64: int64 (B,).

    A uniform number that belongs to the sample, and not a generator shared by the batch, makes a sample the same in any batch.
    """
    cumulative = logits.double().softmax(-1).cumsum(-1)
    index = torch.searchsorted(cumulative, uniform[:, None] * cumulative[:, -1:], right=True)[:, 0]
    return index.clamp_max(logits.shape[-1] - 1)
