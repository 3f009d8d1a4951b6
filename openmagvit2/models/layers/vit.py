"""Vision transformer over image patches and latent tokens: TiTok's encoder and decoder."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from openmagvit2.errors import UserError
from openmagvit2.models.layers.arguments import check_heads


def random_vector(*shape: int) -> nn.Parameter:
    """Return a parameter initialized from N(0, 1 / width), where width is the last axis."""
    return nn.Parameter(torch.randn(shape) * shape[-1] ** -0.5)


def patch_grid(image_size: Sequence[int], patch_size: int) -> tuple[int, ...]:
    """Return the number of patches along each axis of an image.

    Raises:
        UserError: ``patch_size`` does not divide a side.
    """
    if any(side % patch_size for side in image_size):
        raise UserError(f'`patch_size={patch_size}` must divide `image_size={tuple(image_size)}`.')
    return tuple(side // patch_size for side in image_size)


class LatentVit(nn.Module):
    """Bidirectional transformer over a class token, the cells of an image and latent tokens, with
    learned positions.

    Args:
        num_cells: Number of cells of the image.
        num_tokens: Number of latent tokens.
        dim: Width.
        num_layers: Number of pre-norm blocks, with biases, exact GELU and an MLP ratio of 4.
        num_heads: Number of heads.

    Raises:
        UserError: ``num_heads`` does not divide ``dim``.
    """

    def __init__(
        self, num_cells: int, num_tokens: int, dim: int, num_layers: int, num_heads: int
    ) -> None:
        # Imported here, as it takes half a second that programs without a transformer can save.
        from timm.models.vision_transformer import Block

        super().__init__()
        check_heads(dim, num_heads)
        self.class_embedding = random_vector(1, dim)
        self.positional_embedding = random_vector(num_cells + 1, dim)
        self.latent_token_positional_embedding = random_vector(num_tokens, dim)
        self.ln_pre = nn.LayerNorm(dim)
        # Use torch's LayerNorm for its eps of 1e-5; timm's has 1e-6.
        block = partial(Block, dim, num_heads, qkv_bias=True, norm_layer=nn.LayerNorm)
        self.blocks = nn.Sequential(*(block() for _ in range(num_layers)))
        self.ln_post = nn.LayerNorm(dim)

    def forward(self, cells: Tensor, latents: Tensor) -> tuple[Tensor, Tensor]:
        """Map cells (B, num_cells, dim) in raster order and latents (B, num_tokens, dim), both
        without positions, to their outputs after the final norm.
        """
        first = self.class_embedding.expand(len(cells), 1, -1)
        x = torch.cat([first, cells], 1) + self.positional_embedding
        x = torch.cat([x, latents + self.latent_token_positional_embedding], 1)
        x = self.ln_post(self.blocks(self.ln_pre(x)))
        number = cells.shape[1]
        return x[:, 1 : 1 + number], x[:, 1 + number :]
