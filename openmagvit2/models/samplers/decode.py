"""The loop over positions, and the random numbers it uses."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from openmagvit2.errors import UserError


def uniforms(
    seed: int, labels: Sequence[int], numbers: Sequence[int], tokens: int, sub_tokens: int
) -> Tensor:
    """float64 (B, tokens, k) in [0, 1), a function of (seed, class, number of the sample) alone.

    The same sample therefore comes out of any batch, on any number of processes.
    """
    rows = [
        np.random.default_rng([seed, label, number]).random((tokens, sub_tokens))
        for label, number in zip(labels, numbers, strict=True)
    ]
    return torch.from_numpy(np.stack(rows))


def decode_tokens(
    backbone: nn.Module,
    head: nn.Module,
    start: Tensor,
    tokens: int,
    draw: Callable[[Tensor, int, int], Tensor],
) -> Tensor:
    """Sample sub-tokens one position after the other, with caches.

    Args:
        backbone, head: Of the generator.
        start: Class embedding (B, dim), or (2B, dim) with the null half behind.
        tokens: Positions.
        draw: Takes logits, the position and the sub-token's number; gives int64 (B,).

    Returns:
        int64 (B, tokens, k).

    Raises:
        UserError: Some logits were not finite.
    """
    cache, inner = backbone.new_cache(), head.new_cache()
    # Gathered on the device and read once at the end: the loop never waits for it.
    finite = torch.ones((), dtype=torch.bool, device=start.device)

    def checked(logits: Tensor, t: int, i: int) -> Tensor:
        # A row with a NaN or +inf has such a maximum; -inf may mask single tokens.
        finite.logical_and_(logits.amax(-1).isfinite().all())
        return draw(logits, t, i)

    x, drawn = start[:, None], []
    for t in range(tokens):
        context = backbone(x, cache)[:, 0]
        drawn.append(head.sample(context, lambda logits, i, t=t: checked(logits, t, i), inner))
        embedding = head.embed(drawn[-1][:, None])
        x = embedding.repeat(len(start) // len(embedding), 1, 1)
    if not finite:
        raise UserError(
            "The model's logits are not finite (NaN or infinite), so its samples would mean "
            'nothing; '
            'use another checkpoint, or float32 where the model runs in another dtype.'
        )
    return torch.stack(drawn, 1)
