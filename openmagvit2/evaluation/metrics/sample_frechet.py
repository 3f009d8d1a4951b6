"""Fréchet distance of samples to a reference: FID."""

from torch import Tensor

from openmagvit2.evaluation.frechet import frechet_distance, moments, sums
from openmagvit2.evaluation.metrics.samples import SampleMetric
from openmagvit2.registry import METRICS


@METRICS.register_module()
class SampleFrechet(SampleMetric):
    """Fréchet distance of the samples to a reference, whose ``mu`` and ``sigma`` are used if it has
    them.

    The name is ``fid_inception`` for the FID Inception network, ``fd_<network>`` for others.

    Args:
        features, reference: See :class:`SampleMetric`.
    """

    needs, enough = 'statistics', 10_000
    definition = 'Fréchet distance, of float64 sums, of all samples'

    def __init__(self, *, features: dict | None = None, reference: str | None = None) -> None:
        super().__init__(0, features, reference)
        self.size = 1 + self.extractor.dim + self.extractor.dim**2
        self.reset()

    def update(self, sample: dict) -> None:
        """Fold a batch."""
        self.total += sums(self.outputs(sample)['features']).cpu()

    def result(self, total: Tensor) -> dict[str, float]:
        """Compute the distance from the sums."""
        _, *ours = moments(total, self.extractor.dim)
        distance = frechet_distance(*ours, *self.reference.moments)
        return {self.extractor.distance_name: distance}
