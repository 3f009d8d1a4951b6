"""Vector quantization by a learned table (spec §1.3)."""

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from openmagvit2.models.quantizers.base import BaseQuantizer, QuantizerOutput, straight_through
from openmagvit2.registry import QUANTIZERS


@QUANTIZERS.register_module()
class VQ(BaseQuantizer):
    """Nearest row of a table; losses ``codebook`` (moves the table) and ``commitment`` (moves the encoder).

    Args:
        codebook_size: Rows of the table.
        code_dim: Length of a row, channels of ``z``.
        l2_norm: Compare and hand on unit vectors (ViT-VQGAN, LlamaGen); the table then starts with unit rows.
    """

    def __init__(self, *, codebook_size: int = 16384, code_dim: int = 8, l2_norm: bool = True) -> None:
        super().__init__()
        if codebook_size < 2 or code_dim < 1:
            raise ValueError(
                f'model.quantizer needs codebook_size >= 2 and code_dim >= 1, got {codebook_size} and {code_dim}.'
            )
        self.codebook_size = codebook_size
        self.in_channels = self.code_dim = code_dim
        self.l2_norm = l2_norm
        self.embedding = nn.Embedding(codebook_size, code_dim)
        nn.init.uniform_(self.embedding.weight, -1 / codebook_size, 1 / codebook_size)
        if l2_norm:
            self.embedding.weight.data = F.normalize(self.embedding.weight.data, dim=-1)

    @property
    def table(self) -> Tensor:
        """The codes (codebook_size, code_dim), of unit length with ``l2_norm``."""
        return F.normalize(self.embedding.weight, dim=-1) if self.l2_norm else self.embedding.weight

    def quantize(self, z: Tensor) -> QuantizerOutput:
        """Nearest codes of ``z`` (B, code_dim, *grid)."""
        if self.l2_norm:
            z = F.normalize(z, dim=1)
        indices = self.codes_to_indices(z)
        codes = self.indices_to_codes(indices)
        out = QuantizerOutput(straight_through(z, codes), indices)
        if self.training:
            out.losses = dict(codebook=F.mse_loss(codes, z.detach()), commitment=F.mse_loss(z, codes.detach()))
        return out

    def indices_to_codes(self, indices: Tensor) -> Tensor:
        """int64 (B, *grid) to rows of the table (B, code_dim, *grid)."""
        return rearrange(F.embedding(indices, self.table), 'b ... d -> b d ...')

    @torch.no_grad()
    def codes_to_indices(self, codes: Tensor) -> Tensor:
        """Vectors (B, code_dim, *grid) to the nearest row, int64 (B, *grid)."""
        flat, table = rearrange(codes.float(), 'b d ... -> (b ...) d'), self.table
        # |x|^2 is the same for all rows of the table, so it is left out.
        distance = table.square().sum(-1) - 2 * flat @ table.T
        return distance.argmin(-1).reshape(codes.shape[0], *codes.shape[2:])
