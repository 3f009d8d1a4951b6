"""Independent prediction of the sub-tokens from one context: the plain way, which the paper
improves on.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from openmagvit2.models.heads.base import Head
from openmagvit2.models.layers.kv_cache import LayerCache
from openmagvit2.registry import HEADS


@HEADS.register_module()
class SeparateHead(Head):
    """One classifier for each sub-token, all on the same context: given the tokens before,
    sub-tokens are independent.

    Args:
        vocab_sizes: Sizes of the sub-vocabularies; the factorization's by default of the generator.
        dim: The backbone's.
    """

    def __init__(self, *, vocab_sizes: Sequence[int], dim: int = 1024) -> None:
        super().__init__(vocab_sizes, dim)

    def logits(self, context: Tensor, sub_indices: Tensor) -> list[Tensor]:
        """Context (B, T, dim) to logits (B, T, V_i); ``sub_indices`` are not looked at."""
        x = self.norm(context)
        return [classifier(x) for classifier in self.classifiers]

    def sample(
        self,
        context: Tensor,
        sampler: Callable[[Tensor, int], Tensor],
        cache: list[LayerCache] | None = None,
    ) -> Tensor:
        """See :meth:`Head.sample`."""
        x = self.norm(context)
        return torch.stack(
            [sampler(classifier(x), i) for i, classifier in enumerate(self.classifiers)], -1
        )
