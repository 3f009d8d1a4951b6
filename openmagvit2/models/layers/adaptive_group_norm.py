"""Group normalization with scale and shift from the codes (docs/reference/specification.md)."""

import torch
from torch import Tensor, nn

from openmagvit2.models.layers.norm import GroupNorm


class AdaptiveGroupNorm(nn.Module):
    """Compute ``gamma(std(codes)) * GN(x) + beta(mean(codes))``, with statistics of each code
    channel over the whole image.

    The paper puts it at "the output of each residual block"; the official code, which we follow,
    uses it once per level, before the blocks.

    Args:
        channels: Number of channels of the features.
        code_dim: Number of channels of the codes.
    """

    def __init__(self, channels: int, code_dim: int) -> None:
        super().__init__()
        self.norm = GroupNorm(32, channels, eps=1e-6, affine=False)
        self.gamma = nn.Linear(code_dim, channels)
        self.beta = nn.Linear(code_dim, channels)

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        """Map features (B, C, H, W) and codes (B, D, h, w) to (B, C, H, W)."""
        # In float32, as 1e-6 vanishes next to a variance in half precision.
        flat = codes.flatten(2).float()
        # A single position has no unbiased variance; use zero.
        variance = flat.var(-1) if flat.shape[-1] > 1 else torch.zeros_like(flat[..., 0])
        # The epsilon is inside the root, so that a channel that is constant over the image does not
        # give an infinite gradient.
        scale = self.gamma(torch.sqrt(variance + 1e-6).to(codes.dtype))[:, :, None, None]
        shift = self.beta(flat.mean(-1).to(codes.dtype))[:, :, None, None]
        return scale * self.norm(x) + shift
