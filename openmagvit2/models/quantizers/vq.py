"""Vector quantization with a learned table (spec §1.3)."""

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from openmagvit2.errors import UserError
from openmagvit2.models.layers.precision import exact_matmul
from openmagvit2.models.quantizers.base import BaseQuantizer, QuantizerOutput, straight_through
from openmagvit2.models.quantizers.sync import all_reduce_sum, broadcast
from openmagvit2.registry import QUANTIZERS


@QUANTIZERS.register_module()
class VQ(BaseQuantizer):
    """Nearest row of a table; losses ``codebook``, ``commitment`` and, where asked for,
    ``entropy``.

    The defaults are LlamaGen's 16,384 unit vectors of 8 channels, with restarts of dead codes.

    Args:
        codebook_size: Rows of the table.
        code_dim: Channels of a row.
        l2_norm: Compare unit vectors; latents and rows are normalised at every use.
        projection: Channels of encoder and decoder where they differ from ``code_dim``: a 1x1
            convolution before the table and one after.
        legacy: taming's order: the two losses trade names, so that the weight of the commitment
            falls on the codebook term.
        entropy: Emit LlamaGen's ``entropy`` loss, of the distribution softmax(-distance /
            entropy_temperature) over all rows. It needs tokens x codebook_size numbers.
        entropy_temperature: Of that distribution.
        ema_decay: Move rows to the running mean of their latents instead of by gradients; there is
            no ``codebook`` loss then.
        restart_after: A row that no token has chosen in so many training steps is set to a random
            latent of the batch; None: never.
    """

    EPS = 1e-5

    def __init__(
        self,
        *,
        codebook_size: int = 16384,
        code_dim: int = 8,
        l2_norm: bool = True,
        projection: int | None = None,
        legacy: bool = False,
        entropy: bool = False,
        entropy_temperature: float = 0.01,
        ema_decay: float | None = None,
        restart_after: int | None = 100,
    ) -> None:
        super().__init__()
        if codebook_size < 2 or code_dim < 1:
            raise UserError(
                f'model.quantizer needs codebook_size >= 2 and code_dim >= 1, got {codebook_size} '
                f'and {code_dim}.'
            )
        if restart_after is not None and restart_after < 1:
            raise UserError(
                f'model.quantizer.restart_after must be at least 1, or None for no restarts, got '
                f'{restart_after}.'
            )
        if ema_decay is not None and not 0 < ema_decay < 1:
            raise UserError(f'model.quantizer.ema_decay must lie between 0 and 1, got {ema_decay}.')
        self.codebook_sizes = (codebook_size,)
        self.in_channels = self.code_dim = projection or code_dim
        self.l2_norm, self.legacy, self.entropy, self.entropy_temperature = (
            l2_norm,
            legacy,
            entropy,
            entropy_temperature,
        )
        self.ema_decay, self.restart_after = ema_decay, restart_after
        self.project_in = nn.Conv1d(projection, code_dim, 1) if projection else nn.Identity()
        self.project_out = nn.Conv1d(code_dim, projection, 1) if projection else nn.Identity()
        self.embedding = nn.Embedding(codebook_size, code_dim)
        nn.init.uniform_(self.embedding.weight, -1 / codebook_size, 1 / codebook_size)
        if l2_norm:
            self.embedding.weight.data = F.normalize(self.embedding.weight.data, dim=-1)
        if ema_decay is not None:
            self.embedding.weight.requires_grad_(False)
            self.register_buffer('code_count', torch.ones(codebook_size))
            self.register_buffer('code_sum', self.embedding.weight.detach().clone())
        if restart_after is not None:
            self.register_buffer('steps_unused', torch.zeros(codebook_size, dtype=torch.int64))

    @property
    def table(self) -> Tensor:
        """The rows (codebook_size, inner channels), of unit length with ``l2_norm``; before the
        output projection.
        """
        return F.normalize(self.embedding.weight, dim=-1) if self.l2_norm else self.embedding.weight

    def quantize(self, z: Tensor) -> QuantizerOutput:
        """Nearest codes of ``z`` (B, in_channels, *grid)."""
        grid = z.shape[2:]
        x = rearrange(self.project_in(z.flatten(2)), 'b d n -> (b n) d')
        if self.l2_norm:
            x = F.normalize(x, dim=-1)
        if self.training and self.restart_after is not None:
            # Before the rows are used: a change in between would spoil the gradients.
            self._restart(x.detach())
        table = self.table
        rows = nearest(x.detach(), table.detach())
        codes = F.embedding(rows, table)
        quantized = rearrange(straight_through(x, codes), '(b n) d -> b d n', b=len(z))
        out = QuantizerOutput(
            self.project_out(quantized).unflatten(2, grid), rows.view(len(z), *grid)
        )
        if self.training:
            out.losses = self._losses(x, codes, table)
            self._count(x.detach(), rows)
        return out

    def indices_to_codes(self, indices: Tensor) -> Tensor:
        """int64 (B, *grid) to rows of the table, projected, (B, code_dim, *grid)."""
        with torch.autocast(indices.device.type, enabled=False):
            rows = rearrange(F.embedding(indices.flatten(1), self.table), 'b n d -> b d n')
            return self.project_out(rows).unflatten(2, indices.shape[1:])

    @torch.no_grad()
    def codes_to_indices(self, codes: Tensor) -> Tensor:
        """Vectors (B, code_dim, *grid) to the nearest projected row, int64 (B, *grid)."""
        flat = rearrange(codes.float(), 'b d ... -> (b ...) d')
        with torch.autocast(codes.device.type, enabled=False):
            table = self.project_out(self.table.T[None])[0].T
            return nearest(flat, table).reshape(codes.shape[0], *codes.shape[2:])

    def _losses(self, x: Tensor, codes: Tensor, table: Tensor) -> dict[str, Tensor]:
        losses = dict(
            codebook=F.mse_loss(codes, x.detach()), commitment=F.mse_loss(x, codes.detach())
        )
        if self.legacy:
            losses = dict(codebook=losses['commitment'], commitment=losses['codebook'])
        if self.ema_decay is not None:
            del losses['commitment' if self.legacy else 'codebook']
        if self.entropy:
            logits = -_distances(x, table) / self.entropy_temperature
            p = logits.softmax(-1)
            mean = p.mean(0)
            per_sample = -(p * logits.log_softmax(-1)).sum(-1).mean()
            losses['entropy'] = per_sample + (mean * (mean + self.EPS).log()).sum()
        return losses

    @torch.no_grad()
    def _count(self, x: Tensor, rows: Tensor) -> None:
        """What the batch of all processes says about the rows: which are in use, and where their
        latents lie.
        """
        if self.restart_after is None and self.ema_decay is None:
            return
        counts = all_reduce_sum(torch.bincount(rows, minlength=self.codebook_size).to(x.dtype))
        if self.restart_after is not None:
            self.steps_unused.add_(1).masked_fill_(counts > 0, 0)
        if self.ema_decay is not None:
            sums = all_reduce_sum(torch.zeros_like(self.code_sum).index_add_(0, rows, x))
            self.code_count.lerp_(counts, 1 - self.ema_decay)
            self.code_sum.lerp_(sums, 1 - self.ema_decay)
            # A row without latents keeps its place: count and sum shrink together.
            self.embedding.weight.copy_(
                self.code_sum / self.code_count.clamp_min(self.EPS)[:, None]
            )

    @torch.no_grad()
    def _restart(self, x: Tensor) -> None:
        dead = self.steps_unused >= self.restart_after
        if not dead.any():
            return
        # The same latents on all processes, drawn by the first.
        fresh = broadcast(x[torch.randint(len(x), (int(dead.sum()),), device=x.device)])
        self.embedding.weight[dead] = fresh
        self.steps_unused[dead] = 0
        if self.ema_decay is not None:
            self.code_count[dead] = 1.0
            self.code_sum[dead] = fresh


def _distances(x: Tensor, table: Tensor) -> Tensor:
    """Squared distances (M, K) of vectors (M, D) from rows (K, D)."""
    return x.square().sum(-1, keepdim=True) + table.square().sum(-1) - 2 * x @ table.T


def nearest(x: Tensor, table: Tensor, max_elements: int = 2**25) -> Tensor:
    """Row of ``table`` (K, D) nearest to each vector (M, D), int64 (M,); distances stand in blocks
    of ``max_elements``.
    """
    norms = table.square().sum(-1)
    # |x|^2 is the same for all rows of the table, so it is left out.
    blocks = x.split(max(max_elements // len(table), 1))
    with exact_matmul():
        return torch.cat([(norms - 2 * block @ table.T).argmin(-1) for block in blocks])
