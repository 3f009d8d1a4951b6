"""PSNR and SSIM: means over images, on 8-bit pixels.

See docs/reference/specification.md, Reconstruction metrics.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from openmagvit2.errors import UserError
from openmagvit2.evaluation.metrics.base import StreamingMetric
from openmagvit2.models.layers.precision import as_double
from openmagvit2.registry import METRICS

PROTOCOLS = ('corrected', 'official')


def check_protocol(metric: StreamingMetric, protocol: str) -> str:
    """Return the protocol; raise UserError if there is no such one."""
    if protocol not in PROTOCOLS:
        raise UserError(
            f'{type(metric).__name__}: protocol must be one of {", ".join(PROTOCOLS)}, got '
            f'{protocol!r}.'
        )
    return protocol


def to_unit(image: Tensor, protocol: str = 'corrected') -> Tensor:
    """Map [-1, 1] to the 256 levels of an 8-bit file in [0, 1], float64.

    'corrected' rounds, 'official' truncates in float32.
    """
    if protocol == 'official':
        return as_double((255 * ((image.float() + 1) / 2)).clamp(0, 255).trunc()) / 255
    return ((as_double(image) + 1) * 127.5).round().clamp(0, 255) / 255


def official_original(image: Tensor) -> Tensor:
    """Return images in [-1, 1] as the official loader computes them from 8 bits.

    It divides in float64 and then converts to float32.

    Which levels truncation moves down hangs on the last bit: 95 of the 256
    (docs/reference/specification.md, Reconstruction metrics).
    """
    return (((as_double(image) + 1) * 127.5).round() / 127.5 - 1).float()


def psnr(a: Tensor, b: Tensor) -> Tensor:
    """Compute the peak signal-to-noise ratio in dB of each image, (B,); infinite for equal images.

    The images are two (B, C, H, W) in [0, 1].
    """
    return -10 * torch.log10((a - b).square().flatten(1).mean(1))


def ssim(a: Tensor, b: Tensor) -> Tensor:
    """Compute the structural similarity of each image, (B,), of two (B, C, H, W) in [0, 1].

    scikit-image's defaults: 7x7 uniform window, sample covariance, mean over channels and over
    positions where the window fits.
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


class _PixelMetric(StreamingMetric):
    """Mean over images of a function of image and reconstruction.

    Args:
        protocol: 'corrected' rounds both to 8 bits; 'official' truncates both, as the numbers of
            the paper's repository do.
    """

    stage = 'tokenizer'
    name: str
    definition: str

    def __init__(self, *, protocol: str = 'corrected') -> None:
        super().__init__(2)
        self.protocol = check_protocol(self, protocol)

    def statement(self) -> str:
        """See :class:`StreamingMetric`."""
        how = dict(corrected='rounded', official='truncated, the original too')[self.protocol]
        return (
            f'{self.protocol}: mean over images, on 8 bits ({how}), data range 1, {self.definition}'
        )

    def update(self, sample: dict) -> None:
        """Fold a batch."""
        image, reconstruction = sample['image'], sample['reconstruction']
        if self.protocol == 'official':
            exact = official_original(image).to(image.device)
            # What a model hands through stays equal to its original.
            image, reconstruction = (
                exact,
                torch.where(reconstruction == image, exact, reconstruction.float()),
            )
        values = self.measure(*(to_unit(x, self.protocol) for x in (reconstruction, image)))
        self.total += torch.stack(
            [values.sum().cpu(), torch.tensor(float(len(values)), dtype=torch.float64)]
        )

    def result(self, total: Tensor) -> dict[str, float]:
        """Return the mean from sum and count."""
        return {self.name: (total[0] / total[1]).item()}


@METRICS.register_module()
class PSNR(_PixelMetric):
    """``psnr``: mean over images of the PSNR in dB, of whole images against their reconstructions,
    data range 1.
    """

    name, definition = 'psnr', '10 log10(1 / mean squared error)'
    measure = staticmethod(psnr)


@METRICS.register_module()
class SSIM(_PixelMetric):
    """``ssim``: mean over images of the SSIM."""

    name, definition = 'ssim', "scikit-image's defaults: uniform 7x7 window, sample covariance"
    measure = staticmethod(ssim)
