"""Normalisation layers."""

import torch
from torch import Tensor, nn


class GroupNorm(nn.GroupNorm):
    """``nn.GroupNorm`` that also takes groups of a single value, which become the bias.

    torch's layer refuses them, though nothing is estimated over the batch: an image of one latent
    position through 32 channels in 32 groups has them.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, *size) to the same shape."""
        return torch.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)
