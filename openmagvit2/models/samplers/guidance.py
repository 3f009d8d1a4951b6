"""Classifier-free guidance (paper, section 3.3)."""

import math
from collections.abc import Sequence

from torch import Tensor

SCHEDULES = ('constant', 'linear', 'cosine', 'interval')


def scheduled(
    scale: float,
    schedule: str,
    progress: float,
    interval: Sequence[float] = (0.0, 1.0),
    power: float = 1.0,
) -> float:
    """Return the guidance scale at a point of the decoding: ``1 + (scale - 1) * f``.

    Args:
        scale: The full scale.
        schedule: 'constant': f = 1; 'linear': f = progress; 'cosine': f = (1 - cos(pi * progress ^
            power)) / 2; 'interval': f = 1 inside ``interval``, 0 outside.
        progress: 0 at the first position, 1 at the last.
        interval: First and last progress with guidance, for 'interval'.
        power: Exponent of the progress, for 'cosine' (RAR); 0 gives the full scale everywhere.
    """
    f = 1.0
    if schedule == 'linear':
        f = progress
    elif schedule == 'cosine':
        f = (1 - math.cos(math.pi * progress**power)) / 2
    elif schedule == 'interval':
        f = float(interval[0] <= progress <= interval[1])
    # With f = 1, return the scale itself, bit for bit.
    return scale if f == 1 else 1 + (scale - 1) * f


def guide(logits: Tensor, scale: float, batch: int) -> Tensor:
    """Map logits (2B, V), conditional half first, to ``l_null + scale * (l_class - l_null)``
    (B, V).

    Logits (B, V) without an unconditional half, which scale 1 does not need, are returned as they
    are.
    """
    if len(logits) == batch:
        return logits
    conditional, null = logits.chunk(2)
    return conditional if scale == 1 else null + scale * (conditional - null)
