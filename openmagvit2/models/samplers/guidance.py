"""Classifier-free guidance (paper §3.3, spec §5.1)."""

from torch import Tensor


def guide(logits: Tensor, scale: float, batch: int) -> Tensor:
    """``l_null + scale * (l_class - l_null)`` of logits (2B, V), the class's half first, to (B, V).

    Logits (B, V) without a null half pass as they are: scale 1 needs none.
    """
    if len(logits) == batch:
        return logits
    conditional, null = logits.chunk(2)
    return conditional if scale == 1 else null + scale * (conditional - null)
