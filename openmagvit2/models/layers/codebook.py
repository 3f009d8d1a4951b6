"""A codebook: nearest rows, EMA updates, restarts of dead codes."""

import torch
import torch.nn.functional as F
from mmengine.dist import all_reduce, broadcast
from torch import Tensor, nn

from openmagvit2.dtypes import exact_matmul
from openmagvit2.errors import UserError
from openmagvit2.models.layers.iteration import PerIteration


class Codebook(PerIteration):
    """A table of K rows of D channels, updated by gradients or by an EMA of its latents.

    A second base class of quantizers and not a submodule, because checkpoints name a quantizer's
    tensors without a level in between (``quantizer.embedding.weight``, ``quantizer.code_count``). A
    quantizer creates the table with :meth:`add_table` and reports the rows that a training pass
    selected with :meth:`note`.
    """

    code_count: Tensor
    code_sum: Tensor
    steps_unused: Tensor
    started: Tensor

    # Whether `started` may still be 0; it is read only once, in the first training pass.
    _may_start: bool = False
    EPS = 1e-5

    def add_table(
        self,
        size: int,
        dim: int,
        *,
        l2_norm: bool = False,
        ema_decay: float | None = None,
        ema_smoothing: float | None = None,
        restart_after: int | None = None,
        restart_below: float | None = None,
    ) -> None:
        """Create the table, initialized uniformly in ±1/size.

        Args:
            size: Number of rows K, at least 2.
            dim: Number of channels D of a row.
            l2_norm: Use rows of unit length; they are normalized at every use.
            ema_decay: Set rows to S / N instead of training them by gradients; S and N are EMAs of
                the sums and counts of their latents with this decay in (0, 1).
            ema_smoothing: Laplace smoothing of the counts before the division, N to
                (N + ema_smoothing) sum(N) / (sum(N) + K ema_smoothing) (RQ-VAE: 1e-5); None
                disables it.
            restart_after: Replace a row by a random latent of the iteration if no latent has
                selected it in this number of iterations; None: never.
            restart_below: Replace a row by a random latent if its EMA count falls below this number
                (RQ-VAE: 1.0); counts then start at 0. None: never.

        Raises:
            UserError: A value is out of range, or requires ``ema_decay``.
        """
        _check(size, dim, ema_decay, ema_smoothing, restart_after, restart_below)
        self.l2_norm, self.ema_decay, self.ema_smoothing = l2_norm, ema_decay, ema_smoothing
        self.restart_after, self.restart_below = restart_after, restart_below
        self.embedding = nn.Embedding(size, dim)
        nn.init.uniform_(self.embedding.weight, -1 / size, 1 / size)
        if l2_norm:
            self.embedding.weight.data = F.normalize(self.embedding.weight.data, dim=-1)
        if ema_decay is not None:
            self.embedding.weight.requires_grad_(False)
            start = 1.0 if restart_below is None else 0.0
            self.register_buffer('code_count', torch.full((size,), start))
            self.register_buffer('code_sum', self.embedding.weight.detach().clone())
        if restart_after is not None:
            self.register_buffer('steps_unused', torch.zeros(size, dtype=torch.int64))

    @property
    def table(self) -> Tensor:
        """The rows (K, D), of unit length with ``l2_norm``."""
        weight = self.embedding.weight
        if self.training and self._moves:
            # Copy, because rows may be updated before the backward pass.
            weight = weight.clone()
        return F.normalize(weight, dim=-1) if self.l2_norm else weight

    @property
    def _moves(self) -> bool:
        return self.ema_decay is not None or self.restart_after is not None

    def wait_for_latents(self) -> None:
        """Let :meth:`start` initialize all rows in the first training pass."""
        self.register_buffer('started', torch.zeros((), dtype=torch.int64))
        self._may_start = True

    @torch.no_grad()
    def start(self, latents: Tensor) -> None:
        """After :meth:`wait_for_latents`, initialize all rows with random latents out of the (M, D)
        of the first training pass; ``started`` prevents this in resumed training.
        """
        if not self._may_start:
            return
        self._may_start = False
        if self.started:
            return
        fresh = _draw(latents, len(self.embedding.weight), noise=True)
        broadcast(fresh)
        self.embedding.weight.copy_(fresh)
        if self.ema_decay is not None:
            self.code_sum.copy_(fresh)
            self.code_count.fill_(1.0)
        self.started.fill_(1)

    def note(self, rows: Tensor, latents: Tensor) -> None:
        """Report the rows (M,) that the latents (M, D) of a training pass selected."""
        if self._moves:
            self.gather(rows, latents.detach())

    @torch.no_grad()
    def move(self, statistics: list[tuple[Tensor, ...]]) -> None:
        """Update the table with the rows and latents of all passes of an iteration, on all
        processes.

        Dead codes are replaced through a mask, without synchronizing with the device.
        """
        rows, latents = (torch.cat(parts) for parts in zip(*statistics, strict=True))
        weight = self.embedding.weight
        counts = torch.zeros(len(weight), dtype=latents.dtype, device=latents.device)
        counts.index_add_(0, rows, torch.ones_like(rows, dtype=latents.dtype))
        all_reduce(counts)
        if self.ema_decay is not None:
            sums = torch.zeros_like(self.code_sum).index_add_(0, rows, latents)
            all_reduce(sums)
            self.code_count.lerp_(counts, 1 - self.ema_decay)
            self.code_sum.lerp_(sums, 1 - self.ema_decay)
        dead = torch.zeros_like(counts, dtype=torch.bool)
        if self.restart_after is not None:
            self.steps_unused.add_(1).masked_fill_(counts > 0, 0)
            dead |= self.steps_unused >= self.restart_after
        if self.restart_below is not None:
            dead |= self.code_count < self.restart_below
        if self.restart_after is not None or self.restart_below is not None:
            self._restart(dead, latents)
        if self.ema_decay is not None:
            # A row without latents does not move: count and sum shrink together.
            weight.copy_(self.code_sum / self._smoothed(self.code_count)[:, None])

    def _smoothed(self, count: Tensor) -> Tensor:
        if self.ema_smoothing is None:
            return count.clamp_min(self.EPS)
        total, eps = count.sum(), self.ema_smoothing
        return total * (count + eps) / (total + len(count) * eps)

    def _restart(self, dead: Tensor, latents: Tensor) -> None:
        """Replace dead rows, a mask (K,), by random latents; all processes use those of rank 0."""
        fresh = _draw(latents, len(dead), noise=self.restart_below is not None)
        broadcast(fresh)
        rows = self.embedding.weight if self.ema_decay is None else self.code_sum
        rows.copy_(torch.where(dead[:, None], fresh, rows))
        if self.ema_decay is not None:
            self.code_count.masked_fill_(dead, 1.0)
        if self.restart_after is not None:
            self.steps_unused.masked_fill_(dead, 0)


def _draw(latents: Tensor, count: int, noise: bool) -> Tensor:
    """Draw ``count`` random latents (count, D), without replacement while there are enough.

    Args:
        latents: Vectors (M, D).
        count: Number of latents to draw.
        noise: If M < ``count``, add uniform noise from 0 to 0.01 / sqrt(D), like RQ-VAE: of equal
            rows, only the first would ever be selected.
    """
    if len(latents) < count:
        latents = latents.repeat(-(-count // len(latents)), 1)
        if noise:
            latents = latents + torch.rand_like(latents) * 0.01 * latents.shape[1] ** -0.5
    return latents[torch.randperm(len(latents), device=latents.device)[:count]]


def squared_distances(x: Tensor, table: Tensor) -> Tensor:
    """Return the squared distances (M, K) between vectors (M, D) and rows (K, D)."""
    return x.square().sum(-1, keepdim=True) + table.square().sum(-1) - 2 * x @ table.T


def nearest(x: Tensor, table: Tensor, max_elements: int = 2**25) -> Tensor:
    """Return the number of the row nearest to each vector, int64 (M,); the first in a tie.

    Args:
        x: Vectors (M, D).
        table: Rows (K, D).
        max_elements: Maximum number of distances in memory at a time.
    """
    norms = table.square().sum(-1)
    # |x|^2 is the same for all rows of the table, so it is omitted.
    blocks = x.split(max(max_elements // len(table), 1))
    with exact_matmul():
        return torch.cat([(norms - 2 * block @ table.T).argmin(-1) for block in blocks])


def _check(
    size: int,
    dim: int,
    decay: float | None,
    smoothing: float | None,
    after: int | None,
    below: float | None,
) -> None:
    if size < 2 or dim < 1:
        raise UserError(
            f'model.quantizer needs codebook_size >= 2 and code_dim >= 1, got {size} and {dim}.'
        )
    if decay is not None and not 0 < decay < 1:
        raise UserError(f'model.quantizer.ema_decay must be in (0, 1), got {decay}.')
    if after is not None and after < 1:
        raise UserError(
            f'model.quantizer.restart_after must be at least 1, or None for no restarts, got '
            f'{after}.'
        )
    for name, value in (('ema_smoothing', smoothing), ('restart_below', below)):
        if value is not None and (decay is None or value <= 0):
            raise UserError(
                f'model.quantizer.{name} must be a positive number and needs ema_decay, got '
                f'{value} with ema_decay={decay}.'
            )
