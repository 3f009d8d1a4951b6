"""The decoding loop over positions, and its random numbers."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from openmagvit2.errors import UserError
from openmagvit2.models.backbones.base import Backbone
from openmagvit2.models.heads.base import Head
from openmagvit2.models.heads.embeddings import Rows


def uniforms(seed: int, keys: Sequence[int], numbers: Sequence[int], *shape: int) -> Tensor:
    """Draw float64 (B, *shape) in [0, 1) that depend only on (seed, condition, sample number).

    A sample is therefore the same in any batch and on any number of processes.

    Args:
        seed: Seed of all samples, a non-negative integer.
        keys: A non-negative integer for each sample's condition, such as its class label.
        numbers: Number of each sample within its condition.
        shape: Shape of the numbers of one sample, such as (tokens, sub-tokens).
    """
    rows = [
        np.random.default_rng([seed, key, number]).random(shape)
        for key, number in zip(keys, numbers, strict=True)
    ]
    return torch.from_numpy(np.stack(rows))


class Finite:
    """Watch logits for NaN and infinity; the result is read once at the end, so that the loop does
    not synchronize with the device.
    """

    def __init__(self, device: torch.device) -> None:
        self.so_far = torch.ones((), dtype=torch.bool, device=device)

    def look(self, logits: Tensor) -> None:
        """Record whether logits (..., V) are finite."""
        # The maximum of a row is NaN or +inf if it contains one; -inf may mask single tokens.
        self.so_far.logical_and_(logits.amax(-1).isfinite().all())

    def check(self) -> None:
        """Raise UserError if some logits were not finite; synchronizes with the device."""
        if not self.so_far:
            raise UserError(
                "The model's logits are NaN or infinite; use another checkpoint, or float32 if the "
                'model runs in another dtype.'
            )


def decode_tokens(
    backbone: Backbone,
    head: Head,
    start: Tensor,
    tokens: int,
    draw: Callable[[Tensor, int, int], Tensor],
    positions: Tensor | None = None,
    targets: Tensor | None = None,
    rows: Rows | None = None,
    **given: Any,
) -> Tensor:
    """Sample sub-tokens position by position, with KV caches.

    Args:
        backbone, head: Parts of the generator.
        start: Prefix rows (B, P, dim); with guidance (2B, P, dim), unconditional half last.
        tokens: Number of positions.
        draw: Maps logits (B or 2B, V), the position and the sub-token's number to int64 (B,).
        positions, targets: Coordinates of the input rows and of the cells that they predict,
            (P + tokens - 1, axes), or with a batch axis, for backbones that support them.
        rows: Maps sub-tokens to the quantizer's vectors, for heads that need it.
        given: ``condition``, for backbones that support it.

    Returns:
        int64 (B, tokens, k), in the order of decoding.

    Raises:
        UserError: Some logits were not finite.
    """
    x, prefix = start, start.shape[1]
    cache = backbone.new_cache() if prefix == 1 else backbone.new_cache(prefix + tokens - 1)
    inner, vectors = head.new_cache(), {} if rows is None else dict(rows=rows)
    kept = vectors if inner is None else dict(vectors, cache=inner)
    finite, drawn, places = Finite(start.device), [], dict(positions=positions, targets=targets)

    def one(t: int, logits: Tensor, i: int) -> Tensor:
        finite.look(logits)
        return draw(logits[:, 0], t, i)[:, None]

    for t in range(tokens):
        new = slice(0, prefix) if t == 0 else slice(prefix + t - 1, prefix + t)
        given |= {name: x[..., new, :] for name, x in places.items() if x is not None}
        context = backbone(x, cache=cache, **given)[:, -1:]
        drawn.append(head.sample(context, partial(one, t), **kept))
        x = head.embed(drawn[-1], **vectors).repeat(len(start) // len(drawn[-1]), 1, 1)
    finite.check()
    return torch.cat(drawn, 1)
