"""BSQ-ViT's decoder: a vision transformer with learned positions (Zhao et al. 2024)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from openmagvit2.models.decoders.base import BaseDecoder
from openmagvit2.models.layers.arguments import as_pair
from openmagvit2.models.layers.init import init_normal
from openmagvit2.models.layers.plain_vit import PlainVit
from openmagvit2.models.layers.vit import patch_grid
from openmagvit2.registry import DECODERS
from openmagvit2.signatures import Count


@DECODERS.register_module()
class PlainVitDecoder(BaseDecoder):
    """Linear embedding of codes, the transformer of :class:`PlainVitEncoder`, and a two-layer MLP
    with tanh to the pixels of each patch.

    Args:
        in_channels, out_channels: Number of channels of codes and pixels; set by the tokenizer.
        image_size, patch_size, dim, num_layers, num_heads, hidden: See :class:`PlainVitEncoder`.
        pixel_hidden: Hidden width of the MLP to pixels; 4 * dim by default.
        bound: Clamp the output to [-bound, bound], also in training, where clamped values get no
            gradient (BSQ-ViT: 1); None disables it.
    """

    def __init__(
        self,
        *,
        in_channels: Count,
        out_channels: Count = 3,
        image_size: Count | Sequence[Count] = 256,
        patch_size: Count = 8,
        dim: Count = 768,
        num_layers: int = 12,
        num_heads: Count = 12,
        hidden: Count | None = None,
        pixel_hidden: Count | None = None,
        bound: float | None = None,
    ) -> None:
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.image_size: tuple[int, ...] = as_pair(image_size)
        self.patch_size, self.bound = patch_size, bound
        self.grid = height, width = patch_grid(self.image_size, patch_size)
        self.embed = nn.Linear(in_channels, dim)
        self.positions = nn.Parameter(torch.randn(height * width, dim) * 0.02)
        self.vit = PlainVit(dim, num_layers, num_heads, hidden)
        self.to_hidden = nn.Linear(dim, pixel_hidden or 4 * dim)
        self.out = nn.Linear(self.to_hidden.out_features, out_channels * patch_size**2)
        self.apply(init_normal)

    @property
    def last_layer(self) -> Tensor:
        """Weight of the layer that outputs pixels."""
        return self.out.weight

    def forward(
        self, codes: Tensor, size: Sequence[int] | None = None, noise: Tensor | None = None
    ) -> Tensor:
        """Map (B, in_channels, h, w) to (B, out_channels, *image_size)."""
        self.check_size(codes.shape[2:], size)
        x = self.vit(self.embed(codes.flatten(2).transpose(1, 2)) + self.positions)
        x = self.out(self.to_hidden(x).tanh()).transpose(1, 2).unflatten(2, codes.shape[2:])
        image = F.pixel_shuffle(x, self.patch_size)
        return image if self.bound is None else image.clamp(-self.bound, self.bound)
