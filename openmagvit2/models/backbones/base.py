"""Contract of the backbone slot."""

from collections.abc import Sequence

from torch import Tensor, nn

from openmagvit2.errors import UserError
from openmagvit2.models.layers.kv_cache import LayerCache


class Backbone(nn.Module):
    """Map embeddings, prefix rows first, to context vectors; the generator passes ``grid``.

    A subclass sets ``dim`` and ``num_heads``, which heads adopt, and implements :meth:`forward`
    and, for decoding step by step, :meth:`new_cache`.

    Attributes:
        supports: Which of ``positions``, ``targets``, ``condition`` and ``groups`` the class reads;
            the generator passes no others.
        causal: Whether, without ``groups``, a row attends only to itself and previous rows.
        levels: Number of tokens of each level that it is built for; empty without levels.
    """

    dim: int
    num_heads: int
    supports: frozenset[str] = frozenset()
    causal: bool = True
    levels: tuple[int, ...] = ()

    def new_cache(self, rows: int | None = None) -> list[LayerCache]:
        """Return an empty KV cache for a batch; memory is allocated at first use.

        Args:
            rows: Capacity in rows of the sequence; by default one prefix row and all tokens but
                the last, which is never an input.

        Raises:
            UserError: The backbone does not support a KV cache.
        """
        raise UserError(f'model.backbone: {type(self).__name__} does not support a KV cache.')

    def forward(
        self,
        x: Tensor,
        *,
        positions: Tensor | None = None,
        targets: Tensor | None = None,
        condition: Tensor | None = None,
        groups: Sequence[int] | None = None,
        cache: list[LayerCache] | None = None,
    ) -> Tensor:
        """Map rows (B, S, dim) to context vectors (B, S, dim).

        Args:
            x: Embeddings of the sequence, or of the rows that are not in the cache yet.
            positions: Coordinates of the rows' cells, (S, axes) or (B, S, axes), negative for
                prefix rows; by default one prefix row and the grid in raster order, continuing
                after the rows in the cache.
            targets: Coordinates of the cells that the outputs predict, in the shape of
                ``positions``.
            condition: The pooled condition (B, dim).
            groups: Sizes of consecutive groups of rows of the whole sequence, prefix rows included;
                a row attends to its own group and all previous ones. By default, each row is a
                group.
            cache: Result of :meth:`new_cache`; it does not change the outputs.

        Raises:
            UserError: An argument is not in ``supports``.
        """
        raise NotImplementedError

    def reject(self, **given: object) -> None:
        """Raise UserError if an argument is not None and not in ``supports``."""
        for name, value in given.items():
            if value is not None and name not in self.supports:
                known = ', '.join(sorted(self.supports)) or 'none of the optional arguments'
                raise UserError(
                    f'model.backbone: {type(self).__name__} does not support `{name}` (it supports '
                    f'{known}); choose a backbone that does.'
                )
