"""Exact parallel decoding of an auto-regressive generator: Jacobi iteration on fixed noise.

The random numbers of all draws are fixed beforehand, so a token is a function of the previous
tokens. A pass draws a window of tokens in parallel from guesses of the previous tokens; up to and
including the first wrong guess, the drawn tokens are those of sequential decoding (Song et al.
2021; speculative Jacobi decoding, Teng et al. 2024). With Gumbel noise, unlike with draws by the
cumulative distribution, a small change of the distribution rarely changes the token (maximal
coupling, So et al. 2025).
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
    """Gumbel noise of each draw, a function of the draw's uniform number only.

    Args:
        random: Uniform numbers (B, T, k) in [0, 1).
    """

    def __init__(self, random: Tensor) -> None:
        # Use all 53 bits of a number as a seed.
        self.seeds = (random.cpu().double() * 2**53).long()
        self.device = random.device
        self.kept: dict[tuple[int, int], Tensor] = {}

    def __call__(self, t: int, i: int, size: int) -> Tensor:
        """Return float32 (B, size) for sub-token i of position t; kept until :meth:`forget`."""
        if (t, i) not in self.kept:
            seeds = self.seeds[:, t, i].tolist()
            # In float32, zeros would be too frequent for a large vocabulary.
            rows = [np.random.default_rng(seed).standard_exponential(size) for seed in seeds]
            noise = -np.log(np.maximum(np.stack(rows), 1e-300))
            self.kept[t, i] = torch.from_numpy(noise).float().to(self.device)
        return self.kept[t, i]

    def forget(self, before: int) -> None:
        """Discard the noise of positions below ``before``."""
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
    """Sample sub-tokens of up to ``sampler.window`` positions per pass.

    All images of a batch advance by the number of positions that are accepted in every image; each
    pass synchronizes with the device once.

    Args:
        backbone, head, start, tokens, positions, targets, rows, given: See :func:`decode_tokens`.
        sampler: Draws sub-tokens from logits.
        random: Uniform numbers (B, T, k) in [0, 1).
        counts: A list to which the number of accepted positions of each pass is appended.

    Returns:
        int64 (B, tokens, k), the same for any window.

    Raises:
        UserError: Some logits were not finite.
    """
    window = _Window(backbone, head, start, tokens, sampler, random)
    named = dict(positions=positions, targets=targets)
    places = {name: place for name, place in named.items() if place is not None}
    vectors = {} if rows is None else dict(rows=rows)
    t = 0
    while t < tokens:
        accepted = window.step(t, places, vectors, given)
        t += accepted
        window.cut(t)
        if counts is not None:
            counts.append(accepted)
    window.finite.check()
    return window.found


class _Window:
    """State of a decoding: guesses, noise and KV caches."""

    def __init__(
        self,
        backbone: Backbone,
        head: Head,
        start: Tensor,
        tokens: int,
        sampler: SubTokenSampler,
        random: Tensor,
    ) -> None:
        self.backbone, self.head, self.sampler, self.tokens = backbone, head, sampler, tokens
        self.x = start
        self.prefix, self.copies = self.x.shape[1], len(start) // len(random)
        self.last = max(tokens - sampler.closed, 1)
        self.cache = backbone.new_cache(self.prefix + tokens - 1)
        # Caches of the head, by the width of the window.
        self.inner: dict[int, list[LayerCache] | None] = {}
        self.finite, self.noise = Finite(start.device), GumbelNoise(random)
        shape = (len(random), tokens, len(head.vocab_sizes))
        self.found = torch.zeros(shape, dtype=torch.int64, device=start.device)

    def step(
        self, t: int, places: dict[str, Tensor], vectors: dict[str, Any], given: dict[str, Any]
    ) -> int:
        """Draw a window of positions from ``t`` on; return how many of them are accepted."""
        width = min(self.sampler.window, self.tokens - t)
        begin = self.cache[0].filled
        # The last accepted token, or the prefix, and all guesses but the last.
        guesses = self.found[:, max(t - 1, 0) : t + width - 1]
        inputs = self.head.embed(guesses, **vectors).repeat(self.copies, 1, 1)
        inputs = torch.cat([self.x, inputs], 1) if t == 0 else inputs
        new = slice(begin, begin + inputs.shape[1])
        here = {name: place[..., new, :] for name, place in places.items()}
        context = self.backbone(inputs, cache=self.cache, **given, **here)[:, -width:]
        if width not in self.inner:
            self.inner[width] = self.head.new_cache()
        kept = vectors if self.inner[width] is None else dict(vectors, cache=self.inner[width])
        drawn = self.head.sample(context, partial(self.draw, t), **kept)
        accepted = _accepted(drawn, self.found[:, t : t + width])
        self.found[:, t : t + width] = drawn
        # The first guess for positions beyond the window is its last token.
        self.found[:, t + width :] = drawn[:, -1:]
        return accepted

    def draw(self, t: int, logits: Tensor, i: int) -> Tensor:
        """Draw sub-token i of the positions from ``t`` on: logits (B or 2B, n, V_i) to (B, n)."""
        self.finite.look(logits)
        size = logits.shape[-1]
        drawn = [
            self.sampler.coupled(logits[:, j], i, self.noise(t + j, i, size), (t + j) / self.last)
            for j in range(logits.shape[1])
        ]
        return torch.stack(drawn, 1)

    def cut(self, t: int) -> None:
        """Discard the noise of positions before ``t`` and the cached keys of guesses from there."""
        self.noise.forget(t)
        for layer in self.cache:
            layer.cut(min(self.prefix + t - 1, layer.filled))


def _accepted(drawn: Tensor, guessed: Tensor) -> int:
    """Count the accepted positions: the leading ones that were guessed right in all images, and
    one more.
    """
    right = (drawn == guessed).all(-1).all(0).long().cumprod(0)
    return min(int(right.sum()) + 1, drawn.shape[1])
