"""NaN or infinite features are an error in every distribution metric."""

import numpy as np
import pytest
import torch

from openmagvit2.evaluation.comparison import compare
from openmagvit2.evaluation.features import FeatureExtractor
from openmagvit2.evaluation.images import ImageSet
from openmagvit2.evaluation.metrics import SampleInceptionScore
from openmagvit2.evaluation.reference import Reference
from openmagvit2.registry import METRICS

MESSAGE = r'are not finite \(NaN or infinite\), so no metric can be computed'


class Roots(FeatureExtractor):
    """Returns NaN for dark images, like a network whose weights overflow."""

    name, dim = 'roots', 3

    def load_weights(self) -> None:
        pass

    def forward(self, images):
        features = (images.float().mean((2, 3)) - 50).sqrt()
        return dict(features=features, logits=features)


def test_logits():
    metric = SampleInceptionScore(features=Roots())
    dark = torch.zeros(1, 3, 4, 4, dtype=torch.uint8)
    metric.extractor.forward = lambda images: dict(logits=images.float() / 0)
    with pytest.raises(ValueError, match=f'Logits of roots for samples {MESSAGE}'):
        metric.update(dict(samples=dark, places=torch.arange(1), count=1))


def test_the_network_and_the_set_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv('OPENMAGVIT2_CACHE', str(tmp_path / 'cache'))
    bright = np.random.default_rng(0).integers(100, 256, (12, 8, 8, 3), dtype=np.uint8)
    dark = bright.copy()
    dark[5] = 0
    for name, images in dict(bright=bright, dark=dark).items():
        np.savez(tmp_path / f'{name}.npz', images)
    bright, dark = tmp_path / 'bright.npz', tmp_path / 'dark.npz'
    for metric in ('fd', 'is', 'precision_recall', 'kid'):
        for samples, reference in ((dark, bright), (bright, dark)):
            if metric == 'is' and reference is dark:
                continue  # the Inception score has no reference
            with pytest.raises(
                ValueError, match=rf'Features of roots for images of dark\.npz {MESSAGE}'
            ):
                compare(ImageSet(samples), Reference(reference, Roots(), 5), (metric,), 5)
    assert not list(tmp_path.rglob('cache/*dark*'))
    assert len(list(tmp_path.rglob('cache/*.npz'))) <= 1


def test_reconstructions():
    metric = METRICS.build(dict(type='ReconstructionFrechet', features=dict(type=Roots)))
    bright, dark = torch.ones(2, 3, 8, 8), -torch.ones(2, 3, 8, 8)
    metric.update(dict(image=bright, reconstruction=bright))
    with pytest.raises(ValueError, match=f'Features of roots for the reconstructions {MESSAGE}'):
        metric.update(dict(image=bright, reconstruction=dark))
    with pytest.raises(ValueError, match=f'Features of roots for the images {MESSAGE}'):
        metric.update(dict(image=dark, reconstruction=bright))
