"""The order in which the cells of a token sequence are predicted, and which ones in parallel."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from openmagvit2.errors import UserError
from openmagvit2.models.layers.arguments import as_pair
from openmagvit2.registry import ORDERS


class Order:
    """Order of prediction of the cells, in groups; the generator passes ``num_tokens``.

    Args:
        num_tokens: Number of tokens T of an image.

    Attributes:
        groups: Sizes of the groups that are predicted in parallel, in order; their sum is T.
        num_uniforms: How many uniform numbers the order of a training sample needs.
        needs: Features that the backbone must support (see :class:`Backbone`).
    """

    num_uniforms: int = 0
    needs: frozenset[str] = frozenset()

    def __init__(self, *, num_tokens: int) -> None:
        self.num_tokens = num_tokens
        self.groups: tuple[int, ...] = (1,) * num_tokens

    def __call__(
        self, batch: int, iteration: int | None = None, uniform: Tensor | None = None
    ) -> Tensor | None:
        """Return the cells of a batch in the order of prediction.

        Args:
            batch: Number of images B.
            iteration: Number of finished iterations in training; None in evaluation and sampling.
            uniform: Uniform numbers (B, num_uniforms) in [0, 1) in training; None otherwise.

        Returns:
            int64 (B, T), raster numbers of the cells; None means raster order.
        """
        return None


@ORDERS.register_module()
class Raster(Order):
    """One token at a time, in raster order."""


@ORDERS.register_module()
class Masked(Order):
    """All tokens in one group: each attends to all others, some of them masked (MaskGIT)."""

    def __init__(self, *, num_tokens: int) -> None:
        super().__init__(num_tokens=num_tokens)
        self.groups = (num_tokens,)


@ORDERS.register_module()
class NextScale(Order):
    """One token map at a time, from coarse to fine (VAR).

    Args:
        num_tokens: Number of tokens of all maps.
        scales: Side of each map, or its (height, width); set by the generator.

    Raises:
        UserError: The maps have another number of tokens than ``num_tokens``.
    """

    def __init__(self, *, num_tokens: int, scales: Sequence[int | Sequence[int]]) -> None:
        super().__init__(num_tokens=num_tokens)
        self.groups = tuple(math.prod(as_pair(side)) for side in scales)
        if sum(self.groups) != num_tokens:
            raise UserError(
                f'model.order.scales: maps of {self.groups} tokens have {sum(self.groups)} in '
                f'total, but the tokenizer has {num_tokens}.'
            )


@ORDERS.register_module()
class Random(Order):
    """A random permutation of each training sample, annealed to raster order (RAR); raster order in
    evaluation.

    Args:
        num_tokens: Number of tokens of an image.
        start: Iteration up to which all samples are permuted.
        end: Iteration from which none is; the probability falls linearly in between.

    Raises:
        UserError: 0 <= start <= end does not hold.
    """

    needs = frozenset({'positions', 'targets'})

    def __init__(self, *, num_tokens: int, start: int, end: int) -> None:
        super().__init__(num_tokens=num_tokens)
        if not 0 <= start <= end:
            raise UserError(f'model.order: 0 <= start <= end must hold, got {start} and {end}.')
        self.start, self.end = start, end
        # One number decides whether a sample is permuted; one per cell is its sort key.
        self.num_uniforms = 1 + num_tokens

    def share(self, iteration: int) -> float:
        """Return the probability of a permutation after ``iteration`` iterations, from 1 to 0."""
        if iteration < self.start:
            return 1.0
        return max(self.end - iteration, 0) / max(self.end - self.start, 1)

    def __call__(
        self, batch: int, iteration: int | None = None, uniform: Tensor | None = None
    ) -> Tensor | None:
        share = 0.0 if iteration is None else self.share(iteration)
        if not share or uniform is None:
            return None
        raster = torch.arange(self.num_tokens, device=uniform.device).expand(batch, -1)
        permuted = uniform[:, :1] < share
        return torch.where(permuted, uniform[:, 1:].argsort(1), raster)


def in_order(x: Tensor, cells: Tensor | None) -> Tensor:
    """Reorder x (B, T, ...) from raster order to the order ``cells``."""
    if cells is None:
        return x
    return x.gather(1, cells.view(*cells.shape, *[1] * (x.dim() - 2)).expand_as(x))


def to_raster(x: Tensor, cells: Tensor | None) -> Tensor:
    """Reorder x (B, T, ...) from the order ``cells`` to raster order."""
    return in_order(x, None if cells is None else cells.argsort(1))
