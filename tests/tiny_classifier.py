"""A classifier for tests of rejection."""

import torch
from torch import Tensor, nn

from openmagvit2.evaluation.features import FeatureExtractor
from openmagvit2.registry import FEATURES


@FEATURES.register_module()
class PixelClassifier(FeatureExtractor):
    """Logits float64 (B, classes) of images: random sums of their pixels in 4x4 cells."""

    name = 'pixel_classifier'

    def __init__(self, *, classes: int = 3, seed: int = 0) -> None:
        super().__init__()
        self.dim = classes
        weight = torch.randn(classes, 48, generator=torch.Generator().manual_seed(seed))
        self.weight = nn.Parameter(weight.double())
        self.rows: list[int] = []

    def load_weights(self) -> None:
        self.weights_info = dict(sha256=f'{self.weight.sum().item()}')

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        self.rows.append(len(images))
        cells = nn.functional.adaptive_avg_pool2d(images.double() / 255, 4).flatten(1)
        logits = cells @ self.weight.T
        return dict(features=logits.float(), logits=logits)
