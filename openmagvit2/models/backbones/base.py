"""What a backbone promises."""

from collections.abc import Sequence

from torch import Tensor, nn

from openmagvit2.errors import UserError
from openmagvit2.models.layers.kv_cache import LayerCache


class Backbone(nn.Module):
    """Embeddings of a sequence, prefix rows first, to context vectors; the generator passes
    ``grid``.

    A subclass sets ``dim`` and ``num_heads``, which heads take over, and implements
    :meth:`forward`, and :meth:`new_cache` where it can decode step by step.

    Attributes:
        supports: Which of ``positions``, ``targets``, ``condition`` and ``groups`` the class reads;
            the generator passes no others.
        causal: Whether, without ``groups``, a row sees only itself and the rows before.
        levels: Tokens of each level that it was built for; empty without levels.
    """

    dim: int
    num_heads: int
    supports: frozenset[str] = frozenset()
    causal: bool = True
    levels: tuple[int, ...] = ()

    def new_cache(self, rows: int | None = None) -> list[LayerCache]:
        """Return an empty cache for one batch; memory is taken at first use.

        Args:
            rows: Room for rows of the sequence; by default for one prefix row and all tokens but
                the last, which is never an input.

        Raises:
            UserError: The backbone decodes without a cache.
        """
        raise UserError(f'model.backbone: {type(self).__name__} has no cache to decode with.')

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
        """Map rows (B, S, dim) to context (B, S, dim).

        Args:
            x: Embeddings of the sequence, or of those rows that are not in the cache yet.
            positions: Coordinates of the rows' cells, (S, axes) or (B, S, axes), negative in prefix
                rows; by default one prefix row and the grid in raster order, or what follows the
                cache.
            targets: Coordinates of the cells that the outputs predict, in the shape of
                ``positions``.
            condition: The pooled condition (B, dim).
            groups: Sizes of the sets of rows that see each other, and all sets before; of the
                whole sequence, prefix rows included. By default each row is one set.
            cache: From :meth:`new_cache`; the numbers are the same with it and without.

        Raises:
            UserError: An argument that is not in ``supports``.
        """
        raise NotImplementedError

    def reject(self, **given: object) -> None:
        """Raise UserError if a given argument (not None) is none of ``supports``."""
        for name, value in given.items():
            if value is not None and name not in self.supports:
                known = ', '.join(sorted(self.supports)) or 'none of the optional arguments'
                raise UserError(
                    f'model.backbone: {type(self).__name__} takes no `{name}` (it takes {known}); '
                    f'use a backbone that does.'
                )
