"""PSNR and SSIM: means over images, on 8-bit pixels.

See docs/reference/specification.md, Reconstruction metrics.
"""

import torch
from torch import Tensor

from openmagvit2.dtypes import as_double
from openmagvit2.errors import check_choice
from openmagvit2.evaluation.metrics.base import StreamingMetric
from openmagvit2.evaluation.names import PROTOCOLS
from openmagvit2.evaluation.pixel_errors import psnr, ssim, to_unit
from openmagvit2.registry import METRICS


def official_original(image: Tensor) -> Tensor:
    """Return images in [-1, 1] as the official loader computes them from 8 bits.

    It divides in float64 and then converts to float32. The last bit decides which levels truncation
    moves down: 95 of the 256 (docs/reference/specification.md, Reconstruction metrics).
    """
    return (((as_double(image) + 1) * 127.5).round() / 127.5 - 1).float()


class _PixelMetric(StreamingMetric):
    """Mean over images of a function of image and reconstruction.

    Args:
        protocol: 'corrected' rounds both to 8 bits; 'official' truncates both, like the numbers of
            the paper's repository.
    """

    stage = 'tokenizer'
    definition: str

    def __init__(self, *, protocol: str = 'corrected') -> None:
        super().__init__()
        check_choice(f'{type(self).__name__}.protocol', protocol, PROTOCOLS)
        self.protocol = protocol

    def statement(self) -> str:
        how = dict(corrected='rounded', official='truncated, the original too')[self.protocol]
        return (
            f'{self.protocol}: mean over images, on 8 bits ({how}), data range 1, {self.definition}'
        )

    def values(self, sample: dict) -> Tensor:
        image, reconstruction = sample['image'], sample['reconstruction']
        if self.protocol == 'official':
            exact = official_original(image).to(image.device)
            # Pixels that the model returns unchanged stay equal to their original.
            reconstruction = torch.where(reconstruction == image, exact, reconstruction.float())
            image = exact
        return self.measure(*(to_unit(x, self.protocol) for x in (reconstruction, image)))


@METRICS.register_module()
class PSNR(_PixelMetric):
    """``psnr``: mean over images of the PSNR in dB between an image and its reconstruction, data
    range 1.
    """

    name, definition = 'psnr', '10 log10(1 / mean squared error)'
    measure = staticmethod(psnr)


@METRICS.register_module()
class SSIM(_PixelMetric):
    """``ssim``: mean over images of the SSIM."""

    name, definition = 'ssim', "scikit-image's defaults: uniform 7x7 window, sample covariance"
    measure = staticmethod(ssim)
