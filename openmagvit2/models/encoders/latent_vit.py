"""TiTok's encoder: map an image to a short sequence of latent tokens (Yu et al. 2024)."""

from collections.abc import Sequence
from functools import partial

from torch import Tensor, nn

from openmagvit2.models.encoders.base import BaseEncoder
from openmagvit2.models.layers.arguments import as_pair
from openmagvit2.models.layers.init import init_normal
from openmagvit2.models.layers.vit import LatentVit, patch_grid, random_vector
from openmagvit2.registry import ENCODERS
from openmagvit2.signatures import Count, Weight


@ENCODERS.register_module()
class LatentVitEncoder(BaseEncoder):
    """Vision transformer over patches and learned latent tokens; the outputs of the latent tokens
    are ``z`` (B, out_channels, num_tokens). The image size is fixed.

    The defaults are TiTok-S-128's.

    Args:
        out_channels: Number of channels of ``z``; set by the tokenizer.
        image_size: Height and width of the images, or one number for both.
        patch_size: Side of a patch in pixels.
        num_tokens: Number of latent tokens.
        dim, num_layers, num_heads: Width, number of blocks and number of heads.
        legacy_reshape: Reinterpret the transformer's output (B, num_tokens, dim) as (B, dim,
            num_tokens) without a transpose, as in training of TiTok's two-stage models: each latent
            then mixes values of several tokens.
        initial_deviation: Deviation of the initial weights. TiTok's 0.02 is meant for widths of at
            least 512. A narrow network needs more, for example 0.64 / sqrt(dim), the scale of 0.02
            at a width of 1024; otherwise, tokens hardly depend on the image at first.
    """

    stride = None

    def __init__(
        self,
        *,
        out_channels: Count,
        image_size: Count | Sequence[Count] = 256,
        patch_size: Count = 16,
        num_tokens: Count = 128,
        dim: Count = 512,
        num_layers: int = 8,
        num_heads: Count = 8,
        legacy_reshape: bool = False,
        initial_deviation: Weight = 0.02,
    ) -> None:
        super().__init__()
        self.out_channels, self.legacy_reshape = out_channels, legacy_reshape
        self.image_size, self.num_tokens = as_pair(image_size), num_tokens
        height, width = patch_grid(self.image_size, patch_size)
        self.patch_embed = nn.Conv2d(3, dim, patch_size, stride=patch_size)
        self.latent_tokens = random_vector(num_tokens, dim)
        self.vit = LatentVit(height * width, num_tokens, dim, num_layers, num_heads)
        self.out = nn.Linear(dim, out_channels)
        # TiTok's code truncates at 2, a hundred deviations, which has no effect.
        self.apply(partial(init_normal, deviation=initial_deviation))

    def grid(self, size: Sequence[int]) -> tuple[int, ...]:
        """Return ``(num_tokens,)`` for any size."""
        return (self.num_tokens,)

    def forward(self, image: Tensor) -> Tensor:
        """Map (B, 3, *image_size) to (B, out_channels, num_tokens)."""
        self.check_size(image.shape[2:])
        cells = self.patch_embed(image).flatten(2).transpose(1, 2)
        latents = self.latent_tokens.expand(len(image), -1, -1)
        _, latents = self.vit(cells, latents)
        if self.legacy_reshape:
            latents = latents.reshape(len(image), -1, self.num_tokens).transpose(1, 2)
        return self.out(latents).transpose(1, 2)
