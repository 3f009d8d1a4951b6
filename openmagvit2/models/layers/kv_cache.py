"""KV cache of decoding."""

from torch import Tensor


class LayerCache:
    """KV cache of an attention layer, allocated at the first append in the dtype of its arguments.

    Args:
        length: Capacity in positions.
    """

    def __init__(self, length: int) -> None:
        self.length = length
        self.filled = 0
        self.keys: Tensor | None = None
        self.values: Tensor | None = None
        self.rows: Tensor | None = None

    def before(self, rows: Tensor) -> Tensor:
        """Return the previous row of each of the new rows (B, T, D), zeros for the first of all;
        call this before appending their keys.
        """
        if self.rows is None:
            self.rows = rows.new_zeros(len(rows), 1 + self.length, rows.shape[2])
        end = self.filled + rows.shape[1]
        self.rows[:, self.filled + 1 : end + 1] = rows
        return self.rows[:, self.filled : end]

    def append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Append keys and values (B, heads, T, head_dim); return views of all that are filled."""
        if self.keys is None or self.values is None:
            shape = (*keys.shape[:2], self.length, keys.shape[3])
            self.keys, self.values = keys.new_empty(shape), values.new_empty(shape)
        end = self.filled + keys.shape[2]
        assert end <= self.length, 'the cache is full'
        self.keys[:, :, self.filled : end] = keys
        self.values[:, :, self.filled : end] = values
        self.filled = end
        return self.keys[:, :, :end], self.values[:, :, :end]

    def cut(self, length: int) -> None:
        """Discard all but the first ``length`` positions; later ones overwrite the rest."""
        assert 0 <= length <= self.filled, f'{self.filled} positions are filled, not {length}'
        self.filled = length


def new_cache(layers: int, length: int) -> list[LayerCache]:
    """Return one cache per layer."""
    return [LayerCache(length) for _ in range(layers)]
