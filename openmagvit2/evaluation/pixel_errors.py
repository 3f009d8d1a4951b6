"""PSNR and SSIM of single images (docs/reference/specification.md, Reconstruction metrics)."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from openmagvit2.dtypes import as_double
from openmagvit2.errors import UserError


def to_unit(image: Tensor, protocol: str = 'corrected') -> Tensor:
    """Map [-1, 1] to the 256 levels of 8 bits in [0, 1], float64.

    The protocol 'corrected' rounds; 'official' truncates in float32.
    """
    if protocol == 'official':
        return as_double((255 * ((image.float() + 1) / 2)).clamp(0, 255).trunc()) / 255
    return ((as_double(image) + 1) * 127.5).round().clamp(0, 255) / 255


def psnr(a: Tensor, b: Tensor) -> Tensor:
    """Compute the peak signal-to-noise ratio in dB of each image, (B,); infinite for equal images.

    The images are two (B, C, H, W) in [0, 1].
    """
    return -10 * torch.log10((a - b).square().flatten(1).mean(1))


def psnr_of_images(image: np.ndarray, other: np.ndarray) -> float:
    """Compute the PSNR in dB of two images uint8 (H, W, 3)."""
    a, b = (torch.from_numpy(x)[None].double() / 255 for x in (image, other))
    return psnr(a, b).item()


def ssim(a: Tensor, b: Tensor) -> Tensor:
    """Compute the structural similarity of each image, (B,), of two (B, C, H, W) in [0, 1].

    The definition is scikit-image's default: 7x7 uniform window, sample covariance, mean over
    channels and over positions where the window fits.
    """
    if min(a.shape[-2:]) < 7:
        raise UserError(
            f'SSIM needs images of at least 7x7 pixels, got {a.shape[-2]}x{a.shape[-1]}.'
        )
    count = 49
    mean_a, mean_b, aa, bb, ab = (F.avg_pool2d(x, 7, stride=1) for x in (a, b, a * a, b * b, a * b))
    scale = count / (count - 1)
    var_a, var_b, cov = (
        (x - y) * scale for x, y in ((aa, mean_a**2), (bb, mean_b**2), (ab, mean_a * mean_b))
    )
    c1, c2 = 0.01**2, 0.03**2
    value = (
        (2 * mean_a * mean_b + c1)
        * (2 * cov + c2)
        / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))
    )
    return value.flatten(1).mean(1)
