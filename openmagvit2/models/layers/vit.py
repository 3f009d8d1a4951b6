"""Vision transformer over the cells of an image and latent tokens, as TiTok uses it twice."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from openmagvit2.errors import UserError
from openmagvit2.models.layers.attention import check_heads


def vit_blocks(dim: int, num_layers: int, num_heads: int) -> nn.Sequential:
    """Return pre-norm transformer blocks of timm: LayerNorm with eps 1e-5, biases everywhere, exact
    GELU, an MLP four times as wide.

    Raises:
        UserError: ``num_heads`` does not divide ``dim``.
    """
    # Half a second, which programs without a transformer save.
    from timm.models.vision_transformer import Block

    check_heads(dim, num_heads)
    return nn.Sequential(
        *(
            # torch's LayerNorm for its eps; timm's own has 1e-6.
            Block(dim, num_heads, qkv_bias=True, norm_layer=nn.LayerNorm)
            for _ in range(num_layers)
        )
    )


def random_vector(*shape: int) -> nn.Parameter:
    """Return a learned vector of the last axis' width: normal, scaled to unit length."""
    return nn.Parameter(torch.randn(shape) * shape[-1] ** -0.5)


def init_linear(module: nn.Module, deviation: float = 0.02) -> None:
    """Draw weights with this deviation, set biases to zero; for ``Module.apply``.

    TiTok's code truncates at 2, a hundred deviations away, which never happens; and the drawing of
    truncated numbers waits for the device.
    """
    if isinstance(module, (nn.Linear, nn.Conv2d)):
        nn.init.normal_(module.weight, std=deviation)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def as_pair(size: int | Sequence[int]) -> tuple[int, ...]:
    """Return height and width, from one number for both or from two.

    Raises:
        UserError: There are more or fewer numbers.
    """
    pair = (size, size) if isinstance(size, int) else tuple(size)
    if len(pair) != 2:
        raise UserError(f'`image_size={pair}` must be one number, or height and width.')
    return pair


def patch_grid(image_size: Sequence[int], patch_size: int) -> tuple[int, ...]:
    """Count squares of ``patch_size`` pixels along each axis of an image.

    Raises:
        UserError: ``patch_size`` does not divide a side.
    """
    if any(side % patch_size for side in image_size):
        raise UserError(f'`patch_size={patch_size}` must divide `image_size={tuple(image_size)}`.')
    return tuple(side // patch_size for side in image_size)


class LatentVit(nn.Module):
    """Transformer over one class token, the cells of an image and latent tokens, each kind with
    learned positions. All see each other.

    Args:
        num_cells: Cells of the image.
        num_tokens: Latent tokens.
        dim: Width.
        num_layers: Transformer blocks.
        num_heads: Heads; they share ``dim``.
    """

    def __init__(
        self, num_cells: int, num_tokens: int, dim: int, num_layers: int, num_heads: int
    ) -> None:
        super().__init__()
        self.class_embedding = random_vector(1, dim)
        self.positional_embedding = random_vector(num_cells + 1, dim)
        self.latent_token_positional_embedding = random_vector(num_tokens, dim)
        self.ln_pre = nn.LayerNorm(dim)
        self.blocks = vit_blocks(dim, num_layers, num_heads)
        self.ln_post = nn.LayerNorm(dim)

    def forward(self, cells: Tensor, latents: Tensor) -> tuple[Tensor, Tensor]:
        """Map cells (B, num_cells, dim), row by row, and latents (B, num_tokens, dim), both without
        positions, to both after the last norm.
        """
        first = self.class_embedding.expand(len(cells), 1, -1)
        x = torch.cat([first, cells], 1) + self.positional_embedding
        x = torch.cat([x, latents + self.latent_token_positional_embedding], 1)
        x = self.ln_post(self.blocks(self.ln_pre(x)))
        number = cells.shape[1]
        return x[:, 1 : 1 + number], x[:, 1 + number :]
