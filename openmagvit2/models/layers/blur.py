"""Antialiased downsampling (docs/reference/specification.md, Discriminators)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from openmagvit2.errors import check_choice

# Rows of Pascal's triangle, by length.
BINOMIAL = {3: (1.0, 2.0, 1.0), 4: (1.0, 3.0, 3.0, 1.0), 5: (1.0, 4.0, 6.0, 4.0, 1.0)}


class BlurDownsample(nn.Module):
    """Filter each channel with a binomial kernel at stride 2 and zero padding: n pixels become
    ``ceil(n / 2)``.

    Args:
        kernel_size: Size of the kernel: 3, 4 or 5.
        persistent: Keep the kernel in state dicts, as official files of BlurPatchGAN do.
    """

    kernel: Tensor

    def __init__(self, kernel_size: int, persistent: bool = True) -> None:
        super().__init__()
        check_choice('model.training.adversarial.discriminator.blur', kernel_size, BINOMIAL)
        row = torch.tensor(BINOMIAL[kernel_size])
        kernel = torch.outer(row, row)
        self.register_buffer('kernel', (kernel / kernel.sum())[None, None], persistent=persistent)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C, ceil(H / 2), ceil(W / 2))."""
        size = self.kernel.shape[-1]
        borders: list[int] = []
        for n in (x.shape[-1], x.shape[-2]):
            total = max((-(-n // 2) - 1) * 2 + size - n, 0)
            borders += [total // 2, total - total // 2]
        kernel = self.kernel.to(x.dtype).expand(x.shape[1], -1, -1, -1)
        return F.conv2d(F.pad(x, borders), kernel, stride=2, groups=x.shape[1])
