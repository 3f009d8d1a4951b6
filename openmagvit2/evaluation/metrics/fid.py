"""Fréchet distance between images and their reconstructions (rFID).

The evaluation images, resized and cropped for the model, are compared with its reconstructions.
Features of the FID Inception network are folded into float64 sums over all processes. This is not
the FID of samples against training statistics, and values of different resolutions or data sets are
not comparable (docs/guides/evaluate.md).
"""

import torch

from openmagvit2.dtypes import to_bytes
from openmagvit2.errors import check_choice
from openmagvit2.evaluation.features.base import FeatureExtractor, check_finite
from openmagvit2.evaluation.frechet import frechet_distance, moments, sums
from openmagvit2.evaluation.metrics.base import StreamingMetric
from openmagvit2.evaluation.names import PROTOCOLS
from openmagvit2.registry import FEATURES, METRICS


@METRICS.register_module()
class ReconstructionFrechet(StreamingMetric):
    """``rfid_inception`` for the FID Inception network, ``rfd_<network>`` for others.

    Args:
        features: Config of the network.
        protocol: 'corrected' rounds both to 8 bits, like image files; 'official' does not round,
            and resizes for the network in another way, like the numbers of the paper's repository
            (docs/reference/specification.md, Reconstruction metrics).
    """

    stage = 'tokenizer'
    slots = dict(features=FEATURES)

    def __init__(self, *, features: dict | None = None, protocol: str = 'corrected') -> None:
        check_choice(f'{type(self).__name__}.protocol', protocol, PROTOCOLS)
        self.protocol = protocol
        self.extractor = FEATURES.build(features or dict(type='FIDInception'))
        dim = self.extractor.dim
        super().__init__(2 * (1 + dim + dim * dim))

    def prepare(self) -> None:
        """Load the network before the first image."""
        self.extractor.prepare('cpu')

    def statement(self) -> str:
        """Describe protocol, images and network."""
        official = self.protocol == 'official'
        how = 'not rounded' if official else 'both rounded to 8 bits'
        network = ', '.join(
            f'{key} {value}' for key, value in self.extractor.describe(unrounded=official).items()
        )
        return (
            f'{self.protocol}: evaluation images as the model gets them against their '
            f'reconstructions, {how}; {network}'
        )

    def update(self, sample: dict) -> None:
        """Fold a batch of images and reconstructions in [-1, 1].

        Raises:
            UserError: The network returns NaN or infinite features.
        """
        extractor, parts = self.extractor.prepare(sample['image'].device), []
        for key in ('image', 'reconstruction'):
            features = self._features(extractor, sample[key])
            parts.append(
                sums(check_finite(features, f'Features of {extractor.name} for the {key}s'))
            )
        self.total += torch.cat(parts).cpu()

    def _features(self, extractor: FeatureExtractor, image: torch.Tensor) -> torch.Tensor:
        """Map images in [-1, 1] to features (B, dim)."""
        if self.protocol == 'official':
            return extractor.unrounded(((image.float() + 1) / 2).clamp(0, 1))
        return extractor(to_bytes(image))['features']

    def result(self, total) -> dict[str, float]:
        """Compute the distance from the sums of both sets."""
        (_, *first), (_, *second) = (moments(half, self.extractor.dim) for half in total.chunk(2))
        return {f'r{self.extractor.distance_name}': frechet_distance(*first, *second)}
