"""Quantization with a learned table (docs/reference/specification.md, Vector quantization)."""

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from openmagvit2.dtypes import exact_matmul, without_autocast
from openmagvit2.errors import check_choice
from openmagvit2.models.layers.codebook import Codebook, nearest, squared_distances
from openmagvit2.models.layers.deterministic import running_sum
from openmagvit2.models.quantizers.base import BaseQuantizer, QuantizerOutput, straight_through
from openmagvit2.registry import QUANTIZERS
from openmagvit2.signatures import Count, Temperature


@QUANTIZERS.register_module()
class VQ(BaseQuantizer, Codebook):
    """Select the nearest row of a table; emit the losses ``codebook``, ``commitment`` and,
    optionally, ``entropy``.

    The defaults are LlamaGen's 16,384 unit vectors of 8 channels, with restarts of dead codes.

    Args:
        codebook_size: Number of rows of the table.
        code_dim: Number of channels of a row.
        l2_norm: Compare unit vectors; latents and rows are normalized at every use. 'latent'
            normalizes only latents (OmniTokenizer).
        projection: Channels of encoder and decoder, if not ``code_dim``; adds a 1x1 convolution
            before and one after quantization.
        legacy: Swap the names of the two losses, as VQGAN's code does, so that the commitment
            weight applies to the codebook loss.
        entropy: Emit LlamaGen's ``entropy`` loss of the distribution softmax(-distance /
            entropy_temperature) over all rows. It needs tokens x codebook_size numbers.
        entropy_temperature: Temperature of that distribution.
        ema_decay: Update rows by an EMA of their latents with this decay instead of by gradients;
            there is no ``codebook`` loss then.
        ema_smoothing: Laplace smoothing of the EMA counts; None disables it.
        restart_after: Replace a row by a random latent if no token has selected it in this number
            of iterations; None: never.
        restart_below: With ``ema_decay``: replace a row by a random latent if its EMA count falls
            below this number; None: never.
        raw_gradient: With ``l2_norm``: pass the gradient of the codes to the latents before their
            normalization, not through it (ViT-VQGAN).
        data_init: Initialize all rows with random latents of the first training pass.

    Raises:
        UserError: ``l2_norm`` is not one of these values.
    """

    def __init__(
        self,
        *,
        codebook_size: Count = 16384,
        code_dim: Count = 8,
        l2_norm: bool | str = True,
        projection: Count | None = None,
        legacy: bool = False,
        entropy: bool = False,
        entropy_temperature: Temperature = 0.01,
        ema_decay: float | None = None,
        ema_smoothing: float | None = None,
        restart_after: int | None = 100,
        restart_below: float | None = None,
        raw_gradient: bool = False,
        data_init: bool = False,
    ) -> None:
        super().__init__(width=code_dim, projection=projection)
        check_choice('model.quantizer.l2_norm', l2_norm, (True, False, 'latent'))
        self.add_table(
            codebook_size,
            code_dim,
            l2_norm=l2_norm is True,
            ema_decay=ema_decay,
            ema_smoothing=ema_smoothing,
            restart_after=restart_after,
            restart_below=restart_below,
        )
        if data_init:
            self.wait_for_latents()
        self.unit_latents = bool(l2_norm)
        self.codebook_sizes, self.averages = (codebook_size,), ema_decay is not None
        self.raw_gradient = raw_gradient
        self.legacy, self.entropy, self.entropy_temperature = legacy, entropy, entropy_temperature

    def quantize(self, z: Tensor) -> QuantizerOutput:
        """Quantize ``z`` (B, code_dim, *grid) to the nearest rows."""
        x = self._vectors(z)
        if self.training:
            self.start(x.detach())
        table = self.table
        rows = nearest(x.detach(), table.detach())
        codes = F.embedding(rows, table)
        near = rearrange(z, 'b d ... -> (b ...) d') if self.raw_gradient else x
        out = QuantizerOutput(
            rearrange(straight_through(near, codes), '(b n) d -> b d n', b=len(z)).view_as(z),
            rows.view(len(z), *z.shape[2:]),
        )
        if self.training:
            out.losses = self._losses(x, codes, table)
            self.note(rows, x)
        return out

    def dequantize(self, indices: Tensor) -> Tensor:
        """Map int64 (B, *grid) to rows of the table (B, code_dim, *grid)."""
        return F.embedding(indices, self.table).movedim(-1, 1)

    @torch.no_grad()
    def soft_codes(
        self, z: Tensor, temperature: float, uniform: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Draw indices; return them, (B, *grid), and the distributions, (B, T, 1, V)."""
        with without_autocast(z.device):
            x, table = self._vectors(self.projected(z.float())), self.table
            with exact_matmul():
                targets = (-squared_distances(x, table) / temperature).softmax(-1)
            if uniform is None:
                rows = nearest(x, table)
            else:
                bounds = running_sum(targets)
                # The last bound is 1 only up to rounding; keep all numbers below it.
                points = uniform.reshape(-1, 1).to(bounds) * bounds[:, -1:]
                rows = torch.searchsorted(bounds, points, right=True).squeeze(1)
                rows = rows.clamp_max(len(table) - 1)
        return rows.view(len(z), *z.shape[2:]), targets.view(len(z), -1, 1, len(table))

    def _vectors(self, z: Tensor) -> Tensor:
        """Map (B, D, *grid) to the vectors (B * T, D) to compare with the table."""
        x = rearrange(z, 'b d ... -> (b ...) d')
        return F.normalize(x, dim=-1) if self.unit_latents else x

    def _losses(self, x: Tensor, codes: Tensor, table: Tensor) -> dict[str, Tensor]:
        losses = dict(
            codebook=F.mse_loss(codes, x.detach()), commitment=F.mse_loss(x, codes.detach())
        )
        if self.legacy:
            losses = dict(codebook=losses['commitment'], commitment=losses['codebook'])
        if self.ema_decay is not None:
            del losses['commitment' if self.legacy else 'codebook']
        if self.entropy:
            logits = -squared_distances(x, table) / self.entropy_temperature
            p = logits.softmax(-1)
            mean = p.mean(0)
            per_sample = -(p * logits.log_softmax(-1)).sum(-1).mean()
            losses['entropy'] = per_sample + (mean * (mean + self.EPS).log()).sum()
        return losses
