"""Index backpropagation quantization (Shi et al., 2025): all rows of the table get gradients, in
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
    """The row with the largest inner product; losses ``propagation``, ``commitment``, ``codebook``
    and ``entropy``.

    In value a code is its row. In the backward pass it is the mean of all rows under the softmax
    of the inner products, so that latents and *all* rows get a gradient. Logits (tokens,
    codebook_size) are computed again block by block, and never stand in memory as a whole.

    ``propagation`` is the squared error of these codes, ``commitment`` and ``codebook`` are those
    of VQ, and ``entropy`` is the mean entropy of softmax(logits / temperature) minus the entropy
    of the mean distribution.

    Args:
        codebook_size: Rows of the table, drawn from N(0, 1).
        code_dim: Channels of a row.
        projection: Channels of encoder and decoder where they differ from ``code_dim``, or the same
            number for the official 1x1 convolutions before and after.
        temperature: Temperature of the ``entropy`` loss; 1 for the codes.
        max_elements: Logits that stand in memory at a time.
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
        """Return rows for ``z`` (B, code_dim, *grid)."""
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
