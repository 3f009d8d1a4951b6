"""Group normalisation whose scale and shift come from the codes
(docs/reference/specification.md).
"""

import torch
from torch import Tensor, nn

from openmagvit2.models.layers.norm import GroupNorm


class AdaptiveGroupNorm(nn.Module):
    """``gamma(std(codes)) * GN(x) + beta(mean(codes))``; the statistics are of the whole image, one
    number for each code channel.

    The paper puts it at "the output of each residual block"; the official code, which we follow,
    once a level before its blocks.

    Args:
        channels: Width of the features.
        code_dim: Channels of the codes.
    """

    def __init__(self, channels: int, code_dim: int) -> None:
        super().__init__()
        self.norm = GroupNorm(32, channels, eps=1e-6, affine=False)
        self.gamma = nn.Linear(code_dim, channels)
        self.beta = nn.Linear(code_dim, channels)

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        """Map features (B, C, H, W) and codes (B, D, h, w) to (B, C, H, W)."""
        # In float32: half precision has no 1e-6 beside a variance.
        flat = codes.flatten(2).float()
        # The unbiased variance of a single position does not exist; its codes differ from nothing.
        variance = flat.var(-1) if flat.shape[-1] > 1 else torch.zeros_like(flat[..., 0])
        # The epsilon stands inside the root: a channel that is constant over the image must not
        # give an infinite gradient.
        scale = self.gamma(torch.sqrt(variance + 1e-6).to(codes.dtype))[:, :, None, None]
        shift = self.beta(flat.mean(-1).to(codes.dtype))[:, :, None, None]
        return scale * self.norm(x) + shift
