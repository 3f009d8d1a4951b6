"""A row and the row before, mixed channel by channel (ViT-VQGAN's transformer)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from openmagvit2.models.layers.kv_cache import LayerCache


class TimeMixing(nn.Module):
    """``m u_t + (1 - m) u_{t-1}`` of a row and the row before, zeros before the first; m is learned
    for each channel.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.arange(dim) / max(dim - 1, 1))

    def forward(self, x: Tensor, cache: LayerCache | None = None) -> Tensor:
        """Map rows (B, T, dim) behind those in the cache to the same shape."""
        before = F.pad(x[:, :-1], (0, 0, 1, 0)) if cache is None else cache.before(x)
        return self.weight * x + (1 - self.weight) * before
