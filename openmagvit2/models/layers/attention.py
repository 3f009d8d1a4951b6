"""Self-attention over the positions of a feature map, as in taming's VQGAN."""

import torch.nn.functional as F
from torch import Tensor, nn

from openmagvit2.errors import check_choice
from openmagvit2.models.layers.residual import group_norm


class AttnBlock(nn.Module):
    """Residual block of GroupNorm, single-head attention over all positions and a 1x1 convolution.

    It has no position embedding and no mask; the scale is ``channels ** -0.5``.

    Args:
        channels: Number of channels.
        qkv: 'separate' computes queries, keys and values with three 1x1 convolutions ``q``, ``k``
            and ``v``; 'joint' with one, ``qkv``, in this order of channels. Only the names differ.
    """

    def __init__(self, channels: int, *, qkv: str = 'separate') -> None:
        super().__init__()
        check_choice('qkv', qkv, ('separate', 'joint'))
        self.joint = qkv == 'joint'
        self.norm = group_norm(channels)
        if self.joint:
            self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        else:
            self.q, self.k, self.v = (nn.Conv2d(channels, channels, 1) for _ in range(3))
        self.proj_out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        h = self.norm(x)
        qkv = self.qkv(h).chunk(3, 1) if self.joint else (self.q(h), self.k(h), self.v(h))
        # One head: (B, 1, H * W, C).
        q, k, v = (part.flatten(2).transpose(1, 2).unsqueeze(1) for part in qkv)
        h = F.scaled_dot_product_attention(q, k, v).squeeze(1).transpose(1, 2)
        return x + self.proj_out(h.reshape(x.shape))
