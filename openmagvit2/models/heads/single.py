"""One classifier over the whole codebook at once, what the paper calls impractical at 2^18 codes."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from openmagvit2.models.heads.base import Head
from openmagvit2.models.layers.kv_cache import LayerCache
from openmagvit2.registry import HEADS


@HEADS.register_module()
class SingleHead(Head):
    """Predicts the index itself; 2^18 codes train through a cross-entropy in chunks, whose logits never stand side by side.

    Args:
        vocab_sizes: A list of one size.
        dim: The backbone's.
        chunk_elements: Logits held at once.
    """

    joint = True

    def __init__(self, *, vocab_sizes: Sequence[int], dim: int = 1024, chunk_elements: int = 2**26) -> None:
        if len(vocab_sizes) != 1:
            raise ValueError(f'model.head.vocab_sizes: SingleHead predicts one index, got {list(vocab_sizes)}.')
        super().__init__(vocab_sizes, dim)
        self.chunk_elements = chunk_elements

    def logits(self, context: Tensor, sub_indices: Tensor) -> list[Tensor]:
        """Context (B, T, dim) to a list of one (B, T, V); ``sub_indices`` are not looked at."""
        return [self.classifiers[0](self.norm(context))]

    def losses_per_token(self, context: Tensor, sub_indices: Tensor) -> Tensor:
        """Cross-entropy in nats, float32 (B, T, 1), by chunks that the backward pass computes again."""
        rows = max(self.chunk_elements // self.vocab_sizes[0], 1)
        parts = zip(context.flatten(0, 1).split(rows), sub_indices.flatten().split(rows), strict=True)
        return torch.cat([checkpoint(self._chunk, x, y, use_reentrant=False) for x, y in parts]).view(sub_indices.shape)

    def _chunk(self, context: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(self.classifiers[0](self.norm(context)).float(), target, reduction='none')

    def sample(
        self, context: Tensor, sampler: Callable[[Tensor, int], Tensor], cache: list[LayerCache] | None = None
    ) -> Tensor:
        """See :meth:`Head.sample`."""
        return sampler(self.classifiers[0](self.norm(context)), 0)[:, None]
