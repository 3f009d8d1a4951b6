"""What rFID compares: the images of an evaluation set, cropped and resized as the model gets them, with the model's reconstructions of the
same images, both rounded to 8 bits; features of the FID Inception network, folded into float64 sums over all processes. It is neither
FID of samples against training statistics, nor comparable across resolutions or sets (docs/guides/evaluate.md).
"""

import torch

from openmagvit2.evaluation.frechet import frechet_distance, moments, sums
from openmagvit2.evaluation.metrics.base import StreamingMetric
from openmagvit2.registry import FEATURES, METRICS


@METRICS.register_module()
class ReconstructionFrechet(StreamingMetric):
    """``rfid_inception`` for the FID Inception network, ``rfd_<network>`` for others.

    Args:
        features: Config of the network.
    """

    def __init__(self, *, features: dict | None = None) -> None:
        self.extractor = FEATURES.build(features or dict(type='FIDInception'))
        dim = self.extractor.dim
        super().__init__(2 * (1 + dim + dim * dim))

    def prepare(self) -> None:
        """Read the network before the first image."""
        self.extractor.prepare('cpu')

    def statement(self) -> str:
        """See :class:`StreamingMetric`."""
        network = ', '.join(f'{key} {value}' for key, value in self.extractor.describe().items())
        return f'evaluation images as the model gets them against their reconstructions, both rounded to 8 bits; {network}'

    def update(self, sample: dict) -> None:
        """Fold a batch of images and reconstructions in [-1, 1]."""
        extractor = self.extractor.prepare(sample['image'].device)
        parts = [sums(extractor(_to_bytes(sample[key]))['features']) for key in ('image', 'reconstruction')]
        self.total += torch.cat(parts).cpu()

    def result(self, total) -> dict[str, float]:
        """From the sums of both sets."""
        (_, *first), (_, *second) = (moments(half, self.extractor.dim) for half in total.chunk(2))
        return {f'r{self.extractor.distance_name}': frechet_distance(*first, *second)}


def _to_bytes(image: torch.Tensor) -> torch.Tensor:
    """[-1, 1] to uint8, rounded."""
    return ((image.float() + 1) * 127.5).round().clamp(0, 255).byte()
