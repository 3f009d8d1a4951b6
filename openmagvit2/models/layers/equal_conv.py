"""Convolutions of equalised learning rate (Karras et al. 2018)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class EqualConv(nn.Module):
    """Convolution or, with ``kernel=None``, linear layer whose weights are N(0, 1) and divided by
    the root of their fan-in at use; then a bias and ``sqrt(2) leaky_relu``, unless ``act`` is
    False.

    Args:
        blur: Zeros around before a blur by (1, 3, 3, 1); None: no blur.
        bias: Whether there is a bias, with or without ``act``.
    """

    kernel: Tensor

    def __init__(
        self,
        a: int,
        b: int,
        kernel: int | None,
        *,
        stride: int = 1,
        padding: int = 0,
        blur: int | None = None,
        act: bool = True,
        bias: bool = True,
    ) -> None:
        super().__init__()
        shape = (b, a) if kernel is None else (b, a, kernel, kernel)
        self.weight = nn.Parameter(torch.randn(shape))
        self.bias = nn.Parameter(torch.zeros(b)) if bias else None
        self.scale = (self.weight.numel() / b) ** -0.5
        self.stride, self.padding, self.blur, self.act = stride, padding, blur, act
        if blur is not None:
            row = torch.tensor([1.0, 3.0, 3.0, 1.0])
            self.register_buffer('kernel', torch.outer(row, row) / 64, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, a, H, W) or (B, a) to (B, b, …)."""
        if self.blur is not None:
            kernel = self.kernel.to(x.dtype).expand(x.shape[1], 1, -1, -1)
            x = F.conv2d(F.pad(x, [self.blur] * 4), kernel, groups=x.shape[1])
        weight = self.weight * self.scale
        if weight.dim() == 2:
            x = F.linear(x, weight, self.bias)
        else:
            x = F.conv2d(x, weight, self.bias, self.stride, self.padding)
        return F.leaky_relu(x, 0.2) * 2**0.5 if self.act else x
