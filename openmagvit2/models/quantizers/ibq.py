"""Index backpropagation quantization (Shi et al., 2025): gradients for all rows of the table, in
bounded memory (docs/reference/specification.md, Index backpropagation).
"""

import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from openmagvit2.models.layers.codebook import Codebook
from openmagvit2.models.layers.index_backpropagation import index_codes
from openmagvit2.models.quantizers.base import BaseQuantizer, QuantizerOutput
from openmagvit2.registry import QUANTIZERS
from openmagvit2.signatures import Count, Temperature


@QUANTIZERS.register_module()
class IBQ(BaseQuantizer, Codebook):
    """Select the row with the largest inner product; emit the losses ``propagation``,
    ``commitment``, ``codebook`` and ``entropy``.

    In the forward pass, a code is the selected row. The backward pass also differentiates the
    softmax of the inner products, so latents and *all* rows get a gradient. The logits (tokens,
    codebook_size) are recomputed block by block and never in memory as a whole.

    ``propagation`` is the squared error of these codes, ``commitment`` and ``codebook`` are those
    of VQ, and ``entropy`` is the mean entropy of softmax(logits / temperature) minus the entropy
    of the mean distribution.

    Args:
        codebook_size: Number of rows of the table, initialized from N(0, 1).
        code_dim: Number of channels of a row.
        projection: Channels of encoder and decoder; adds a 1x1 convolution before and one after
            quantization, as in the official models, also if equal to ``code_dim``.
        temperature: Temperature of the ``entropy`` loss; codes use a temperature of 1.
        max_elements: Maximum number of logits in memory at a time.
    """

    def __init__(
        self,
        *,
        codebook_size: Count = 16384,
        code_dim: Count = 256,
        projection: Count | None = None,
        temperature: Temperature = 0.01,
        max_elements: Count = 2**24,
    ) -> None:
        super().__init__(width=code_dim, projection=projection)
        self.add_table(codebook_size, code_dim)
        nn.init.normal_(self.embedding.weight)
        self.codebook_sizes = (codebook_size,)
        self.temperature, self.max_elements = temperature, max_elements

    def quantize(self, z: Tensor) -> QuantizerOutput:
        """Quantize ``z`` (B, code_dim, *grid)."""
        x, table = rearrange(z, 'b d ... -> (b ...) d'), self.table
        temperature = self.temperature if self.training else None
        found = index_codes(x, table, temperature, self.max_elements)
        out = QuantizerOutput(
            rearrange(found.codes, '(b n) d -> b d n', b=len(z)).view_as(z),
            found.rows.view(len(z), *z.shape[2:]),
        )
        if self.training:
            out.losses = dict(
                propagation=F.mse_loss(found.codes, x),
                commitment=F.mse_loss(x, found.chosen.detach()),
                codebook=F.mse_loss(found.chosen, x.detach()),
                entropy=found.per_sample - found.codebook,
            )
            out.stats = dict(
                per_sample_entropy=found.per_sample.detach(),
                codebook_entropy=found.codebook.detach(),
            )
        return out

    def dequantize(self, indices: Tensor) -> Tensor:
        """Map int64 (B, *grid) to codes (B, code_dim, *grid)."""
        return F.embedding(indices, self.table).movedim(-1, 1)
