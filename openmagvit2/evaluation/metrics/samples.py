"""The base class of metrics of samples, the columns of Table 4.

The definitions are those of ``tools/evaluate_npz.py`` (:mod:`openmagvit2.evaluation.comparison`). A
:class:`~openmagvit2.engine.generation_loop.GenerationLoop` passes the samples on.
"""

from functools import cached_property

from torch import Tensor

from openmagvit2.errors import UserError
from openmagvit2.evaluation.features import FeatureExtractor
from openmagvit2.evaluation.metrics.base import StreamingMetric
from openmagvit2.evaluation.reference import Reference
from openmagvit2.processes import long_barrier, on_main
from openmagvit2.registry import FEATURES


class SampleMetric(StreamingMetric):
    """Measure samples through a feature network.

    Only the main process reads the reference; it broadcasts the result.

    :meth:`update` receives a dict: ``samples`` uint8 (B, 3, H, W), ``places`` int64 (B,), the
    number of each sample in the whole set, ``count``, the size of the whole set, and optionally
    ``name``, which errors call the samples.

    Args:
        size: Number of float64 sums.
        features: Config of the network, by default the FID Inception, or the network itself.
            Metrics with the same network share one forward pass.
        reference: npz of images (``arr_0``), of statistics (``mu``, ``sigma``) or of both, or a
            folder of images; or the reference itself.
    """

    slots = dict(features=FEATURES)
    stage = 'generator'
    measures_samples = True
    # What the reference must provide: 'images', or 'statistics', which images provide too; None:
    # there is no reference.
    needs: str | None = None
    # With fewer images, the value depends on their number.
    enough: int
    # For the record.
    definition: str

    def __init__(
        self,
        size: int,
        features: dict | FeatureExtractor | None = None,
        reference: str | Reference | None = None,
    ) -> None:
        built = isinstance(features, FeatureExtractor)
        self.extractor = (
            features if built else FEATURES.build(features or dict(type='FIDInception'))
        )
        self.given = reference
        super().__init__(size)

    def prepare(self) -> None:
        """Load the network and check the reference before the first sample.

        Raises:
            UserError: The reference is missing or cannot be read, or the network's weights are not
                found.
        """
        self.extractor.prepare()
        if self.needs:
            _ = self.reference

    @cached_property
    def reference(self) -> Reference:
        """The reference, with its header read.

        Raises:
            UserError: There is none, or it has only statistics where images are needed.
        """
        name, given = type(self).__name__, self.given
        if given is None:
            raise UserError(
                f'{name} needs a reference: set `reference` of test_evaluator to an npz or a '
                f'folder of images.'
            )
        reference = given if isinstance(given, Reference) else Reference(given, self.extractor)
        if self.needs == 'images' and reference.images is None:
            raise UserError(f'{name} compares images, but {given} has only statistics.')
        return reference

    def statement(self) -> str:
        network = ', '.join(f'{key} {value}' for key, value in self.extractor.describe().items())
        against = f' against {self.given}' if self.needs else ''
        return f'{self.definition}{against}; {network}'

    def outputs(self, sample: dict) -> dict[str, Tensor]:
        """Return the network's outputs for a batch, computed once for all metrics that share it.

        Raises:
            UserError: The network returns NaN or infinite values.
        """
        known = sample.setdefault('outputs', {})
        key = self.extractor.key()
        if key not in known:
            known[key] = self.extractor.outputs(sample['samples'], sample.get('name', 'samples'))
        return known[key]

    def evaluate(self, size: int) -> dict[str, float]:
        """Return the values by name, in all processes; ``size`` is not used."""
        total = self.summed()
        try:
            return on_main(lambda: self.result(total), wait=long_barrier)
        finally:
            self.reset()
