"""Keys and values of the positions that a decoding has passed."""

from torch import Tensor


class LayerCache:
    """Keys and values of one attention layer: allocated once, at the first append, in the type of
    what is appended, and read sliced to what is filled.

    Args:
        length: Positions it has room for.
    """

    def __init__(self, length: int) -> None:
        self.length = length
        self.filled = 0
        self.keys: Tensor | None = None
        self.values: Tensor | None = None
        self.rows: Tensor | None = None

    def before(self, rows: Tensor) -> Tensor:
        """Return the row before each of (B, T, D), zeros before the first of all; to be called
        before their keys are appended.
        """
        if self.rows is None:
            self.rows = rows.new_zeros(len(rows), 1 + self.length, rows.shape[2])
        end = self.filled + rows.shape[1]
        self.rows[:, self.filled + 1 : end + 1] = rows
        return self.rows[:, self.filled : end]

    def append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Add (B, heads, T, head_dim) behind what is there; all of it comes back, as views."""
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
        """Forget all but the first ``length`` positions; the next ones take their memory."""
        assert 0 <= length <= self.filled, f'{self.filled} positions are filled, not {length}'
        self.filled = length


def new_cache(layers: int, length: int) -> list[LayerCache]:
    """Return one cache for each layer."""
    return [LayerCache(length) for _ in range(layers)]
