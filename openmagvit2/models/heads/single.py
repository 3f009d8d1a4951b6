"""One classifier over the whole codebook at once, what the paper calls impractical at 2^18
codes.
"""

from collections.abc import Callable, Sequence

from torch import Tensor

from openmagvit2.errors import UserError
from openmagvit2.models.heads.base import Head
from openmagvit2.models.heads.chunked_cross_entropy import linear_cross_entropy
from openmagvit2.models.layers.kv_cache import LayerCache
from openmagvit2.registry import HEADS


@HEADS.register_module()
class SingleHead(Head):
    """Predicts the index itself; 2^18 codes train through a cross-entropy over slices, whose logits
    never stand side by side.

    Args:
        vocab_sizes: A list of one size.
        dim: The backbone's.
        chunk_elements: Logits held at once.
    """

    joint = True

    def __init__(
        self, *, vocab_sizes: Sequence[int], dim: int = 1024, chunk_elements: int = 2**25
    ) -> None:
        if len(vocab_sizes) != 1:
            raise UserError(
                f'model.head.vocab_sizes: SingleHead predicts one index, got {list(vocab_sizes)}.'
            )
        super().__init__(vocab_sizes, dim)
        self.chunk_elements = chunk_elements

    def logits(self, context: Tensor, sub_indices: Tensor) -> list[Tensor]:
        """Context (B, T, dim) to a list of one (B, T, V); ``sub_indices`` are not looked at."""
        return [self.classifiers[0](self.norm(context))]

    def losses_per_token(self, context: Tensor, sub_indices: Tensor) -> Tensor:
        """Cross-entropy in nats, float32 (B, T, 1), by slices of the vocabulary that the backward
        pass computes again.
        """
        x, target = self.norm(context).flatten(0, 1), sub_indices.flatten()
        return linear_cross_entropy(
            x, self.classifiers[0].weight, target, self.chunk_elements
        ).view(sub_indices.shape)

    def sample(
        self,
        context: Tensor,
        sampler: Callable[[Tensor, int], Tensor],
        cache: list[LayerCache] | None = None,
    ) -> Tensor:
        """See :meth:`Head.sample`."""
        return sampler(self.classifiers[0](self.norm(context)), 0)[:, None]
