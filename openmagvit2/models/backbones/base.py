"""What a backbone promises."""

from torch import Tensor, nn

from openmagvit2.models.layers.kv_cache import LayerCache


class Backbone(nn.Module):
    """Token embeddings to context vectors, causally; the generator passes ``grid``.

    A subclass sets ``dim`` and ``num_heads``, which heads take over, and implements the two
    methods.
    """

    dim: int
    num_heads: int

    def new_cache(self) -> list[LayerCache]:
        """An empty cache for one batch of images; memory is taken at first use."""
        raise NotImplementedError

    def forward(
        self, x: Tensor, cache: list[LayerCache] | None = None, positions: Tensor | None = None
    ) -> Tensor:
        """(B, T, dim), the class first, to context (B, T, dim); position t predicts token t.

        Args:
            x: Embeddings of the class and the tokens, or of those that are not in the cache yet.
            cache: From :meth:`new_cache`; the numbers are the same with it and without.
            positions: int64 (T,) in the sequence that the class begins; those that follow the cache
                by default.
        """
        raise NotImplementedError
