"""Patchify and unpatchify pixels, before the first and after the last convolution."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from openmagvit2.errors import UserError, check_choice


def _hadamard(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> tuple[Tensor, ...]:
    """Return sums and differences of four tensors; applied twice, this is four times the input."""
    return a + b + c + d, a + b - c - d, a - b + c - d, a - b - c + d


def haar(x: Tensor) -> Tensor:
    """Apply one level of the Haar transform: (B, C, H, W) to (B, 4C, H/2, W/2).

    The output is a concatenation of the bands LL, LH (low along the row), HL and HH, each of C
    channels and scaled by 1/4.
    """
    pixels = F.pixel_unshuffle(x, 2).unflatten(1, (x.shape[1], 4)).unbind(2)
    return torch.cat(_hadamard(*pixels), 1) / 4


def inverse_haar(x: Tensor) -> Tensor:
    """Invert :func:`haar`: (B, 4C, H, W) to (B, C, 2H, 2W)."""
    pixels = torch.stack(_hadamard(*x.chunk(4, 1)), 2)
    return F.pixel_shuffle(pixels.flatten(1, 2), 2)


class Patches(nn.Module):
    """Move patches of pixels to channels: (B, C, H, W) to (B, C size^2, H / size, W / size).

    Args:
        size: Side of a patch in pixels.
        kind: 'pixels' (``pixel_unshuffle``), or 'haar' for ``log2(size)`` Haar transforms of all
            channels, as in Cosmos.

    Raises:
        UserError: ``kind`` is 'haar' and ``size`` is not a power of two.
    """

    def __init__(self, size: int, kind: str = 'pixels') -> None:
        super().__init__()
        check_choice('patch', kind, ('pixels', 'haar'))
        if kind == 'haar' and size & (size - 1):
            raise UserError(
                f'`patch_size` must be a power of two for the Haar transform, got {size}.'
            )
        self.size, self.kind = size, kind

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C size^2, H / size, W / size); ``size`` divides both sides."""
        if self.kind == 'pixels':
            return F.pixel_unshuffle(x, self.size)
        for _ in range(self.size.bit_length() - 1):
            x = haar(x)
        return x


class Unpatches(Patches):
    """Inverse of :class:`Patches`, with the same arguments."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C size^2, h, w) to (B, C, h size, w size)."""
        if self.kind == 'pixels':
            return F.pixel_shuffle(x, self.size)
        for _ in range(self.size.bit_length() - 1):
            x = inverse_haar(x)
        return x
