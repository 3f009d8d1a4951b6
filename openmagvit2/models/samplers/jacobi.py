"""Parallel decoding of an auto-regressive generator, exact: Jacobi iteration on fixed noise.

Each number that a draw takes is fixed beforehand, so that a token is a function of the tokens
before it; a window of tokens that are guessed is computed at once, and its start up to the first
token that was guessed wrong is what decoding one by one gives (Song et al. 2021; speculative Jacobi
decoding, Teng et al. 2024). With Gumbel noise a token stays mostly the same where its distribution
changes little, which a draw by the cumulative distribution does not (maximal coupling, So et al.
2025).
"""

from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from openmagvit2.models.backbones.base import Backbone
from openmagvit2.models.heads.base import Head
from openmagvit2.models.heads.embeddings import Rows
from openmagvit2.models.layers.kv_cache import LayerCache
from openmagvit2.models.samplers.decode import Finite
from openmagvit2.models.samplers.sub_token import SubTokenSampler


class GumbelNoise:
    """Noise of each draw, a function of its uniform number alone.

    Args:
        random: Uniform numbers (B, T, k) in [0, 1).
    """

    def __init__(self, random: Tensor) -> None:
        # All 53 bits of a number, as a seed.
        self.seeds = (random.cpu().double() * 2**53).long()
        self.device = random.device
        self.kept: dict[tuple[int, int], Tensor] = {}

    def __call__(self, t: int, i: int, size: int) -> Tensor:
        """float32 (B, size) for sub-token i of position t; kept until :meth:`forget`."""
        if (t, i) not in self.kept:
            seeds = self.seeds[:, t, i].tolist()
            # float64: a float32 is 0 too often for a large vocabulary.
            rows = [np.random.default_rng(seed).standard_exponential(size) for seed in seeds]
            noise = -np.log(np.maximum(np.stack(rows), 1e-300))
            self.kept[t, i] = torch.from_numpy(noise).float().to(self.device)
        return self.kept[t, i]

    def forget(self, before: int) -> None:
        """Drop the noise of positions before one."""
        self.kept = {key: value for key, value in self.kept.items() if key[0] >= before}


def decode_jacobi(
    backbone: Backbone,
    head: Head,
    start: Tensor,
    tokens: int,
    sampler: SubTokenSampler,
    random: Tensor,
    positions: Tensor | None = None,
    targets: Tensor | None = None,
    rows: Rows | None = None,
    counts: list[int] | None = None,
    **given: Any,
) -> Tensor:
    """Sample sub-tokens of ``sampler.window`` positions at a time.

    All images of a batch go on together, by what the slowest of them has right; each step waits for
    the device once.

    Args:
        backbone, head, start, tokens, positions, targets, rows, given: See :func:`decode_tokens`.
        sampler: Logits to sub-tokens.
        random: Uniform numbers (B, T, k) in [0, 1).
        counts: Gets the number of accepted positions of each pass.

    Returns:
        int64 (B, tokens, k), the same for any window.

    Raises:
        UserError: Some logits were not finite.
    """
    x = start if start.dim() == 3 else start[:, None]
    prefix, batch, last = x.shape[1], len(random), max(tokens - sampler.closed, 1)
    cache = backbone.new_cache(prefix + tokens - 1)
    vectors = {} if rows is None else dict(rows=rows)
    finite, noise, places = Finite(start.device), GumbelNoise(random), (positions, targets)
    inner: dict[int, list[LayerCache] | None] = {}
    k = len(head.vocab_sizes)
    found = torch.zeros(batch, tokens, k, dtype=torch.int64, device=start.device)

    def draw(t: int, logits: Tensor, i: int) -> Tensor:
        finite.look(logits)
        size = logits.shape[-1]
        drawn = [
            sampler.coupled(logits[:, j], i, noise(t + j, i, size), (t + j) / last)
            for j in range(logits.shape[1])
        ]
        return torch.stack(drawn, 1)

    def embed(sub_indices: Tensor) -> Tensor:
        return head.embed(sub_indices, **vectors).repeat(len(start) // batch, 1, 1)

    t = 0
    while t < tokens:
        width = min(sampler.window, tokens - t)
        begin = cache[0].filled
        # The last token that is known, or the prefix, and all guesses but the last.
        guesses = found[:, max(t - 1, 0) : t + width - 1]
        inputs = torch.cat([x, embed(guesses)], 1) if t == 0 else embed(guesses)
        new = slice(begin, begin + inputs.shape[1])
        given |= {
            name: place[..., new, :]
            for name, place in zip(('positions', 'targets'), places, strict=True)
            if place is not None
        }
        context = backbone(inputs, cache=cache, **given)[:, -width:]
        if width not in inner:
            inner[width] = head.new_cache()
        kept = vectors if inner[width] is None else dict(vectors, cache=inner[width])
        drawn = head.sample(context, partial(draw, t), **kept)
        accepted = _accepted(drawn, found[:, t : t + width])
        found[:, t : t + width] = drawn
        # The first guess of what comes into the window is the last one in it.
        found[:, t + width :] = drawn[:, -1:]
        t += accepted
        noise.forget(t)
        if counts is not None:
            counts.append(accepted)
        for layer in cache:
            layer.cut(min(prefix + t - 1, layer.filled))
    finite.check()
    return found


def _accepted(drawn: Tensor, guessed: Tensor) -> int:
    """Positions at the start that are right in all images: those guessed right, and one more."""
    right = (drawn == guessed).all(-1).all(0).long().cumprod(0)
    return min(int(right.sum()) + 1, drawn.shape[1])
