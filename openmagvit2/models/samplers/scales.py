"""The decoding loop over the levels of a multi-scale tokenizer (VAR)."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from openmagvit2.models.backbones.base import Backbone
from openmagvit2.models.heads.base import Head
from openmagvit2.models.samplers.decode import Finite

# Maps logits (B or 2B, n, V) and the numbers of level and sub-token to int64 (B, n).
DrawLevel = Callable[[Tensor, int, int], Tensor]
# Maps the sum so far (None at level 0), tokens int64 (B, n, k) and the number of their level to the
# new sum (B, D, h, w).
AddLevel = Callable[[Tensor | None, Tensor, int], Tensor]


def decode_levels(
    backbone: Backbone,
    head: Head,
    start: Tensor,
    levels: int,
    draw: DrawLevel,
    add: AddLevel,
    next_input: Callable[[Tensor, int], Tensor],
    **given: Any,
) -> tuple[Tensor, Tensor]:
    """Sample level by level, with a KV cache of the previous levels.

    Args:
        backbone, head: Parts of the generator.
        start: Input of the first level (B, P, dim); (2B, P, dim) with guidance, null half last.
        levels: Number of levels.
        draw: Draws the sub-tokens of a level.
        add: Adds a level's codes to the sum.
        next_input: Maps the sum and the number of the next level to that level's input (B, n, dim).
        given: ``condition`` for the backbone.

    Returns:
        Tokens int64 (B, T, k), ordered by level, and the sum of all levels' codes (B, D, h, w).

    Raises:
        UserError: Some logits were not finite.
    """
    cache, finite, drawn, x = backbone.new_cache(), Finite(start.device), [], start
    total: Tensor | None = None

    def one(level: int, logits: Tensor, i: int) -> Tensor:
        """Draw sub-token ``i`` of a level, and record whether its logits are finite."""
        finite.look(logits)
        return draw(logits, level, i)

    for level in range(levels):
        drawn.append(head.sample(backbone(x, cache=cache, **given), partial(one, level)))
        total = add(total, drawn[-1], level)
        if level + 1 < levels:
            x = next_input(total, level + 1).repeat(len(start) // len(total), 1, 1)
    finite.check()
    assert total is not None
    return torch.cat(drawn, 1), total


def smooth_mixture(logits: Tensor, uniform: Tensor, progress: float) -> Tensor:
    """Return weights of a mixture of codes, sharper from scale to scale (VAR's smooth sampling).

    Args:
        logits: Guided and filtered logits (..., V).
        uniform: Uniform numbers in [0, 1) of the same shape.
        progress: 0 at the first scale, 1 at the last.

    Returns:
        float32 (..., V), with sum 1.
    """
    least = torch.finfo(uniform.dtype).tiny
    gumbel = -(-uniform.clamp_min(least).log()).clamp_min(least).log()
    temperature = max(0.27 * (1 - 0.95 * progress), 0.005)
    return ((logits * (1 + progress) + gumbel.float()) / temperature).softmax(-1)
