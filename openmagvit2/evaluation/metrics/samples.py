"""Metrics of samples, the columns of Table 4: FID, Inception score, precision and recall.

The definitions are those of ``tools/evaluate_npz.py`` (:mod:`openmagvit2.evaluation.comparison`).
A :class:`~openmagvit2.engine.generation_loop.GenerationLoop` hands over what it samples.
"""

from functools import cached_property

import torch
import torch.distributed as dist
from mmengine.dist import get_world_size, is_main_process
from torch import Tensor

from openmagvit2.errors import UserError
from openmagvit2.evaluation.features import FeatureExtractor
from openmagvit2.evaluation.frechet import frechet_distance, moments, sums
from openmagvit2.evaluation.inception_score import score_of, split_rows
from openmagvit2.evaluation.kernel_distance import kernel_distance
from openmagvit2.evaluation.metrics.base import StreamingMetric
from openmagvit2.evaluation.precision_recall import precision_recall
from openmagvit2.evaluation.reference import Reference
from openmagvit2.processes import long_barrier, on_main
from openmagvit2.registry import FEATURES, METRICS


class SampleMetric(StreamingMetric):
    """Measure samples through a feature network.

    The main process alone reads the reference, and broadcasts the result.

    :meth:`update` gets a dict: ``samples`` uint8 (B, 3, H, W), ``places`` int64 (B,), each
    sample's number in the whole set, and ``count``, the size of the whole set; ``name`` is what
    the samples are called in errors.

    Args:
        size: Number of float64 sums.
        features: Config of the network; the FID Inception by default. Metrics with the same
            network share one pass through it.
        reference: npz of images (``arr_0``), of statistics (``mu``, ``sigma``) or of both, or a
            folder of images.

    In Python both may be the objects themselves, which several metrics then share.
    """

    stage = 'generator'
    measures_samples = True
    # Whether the reference must hold images, or may hold statistics alone; None: none is needed.
    needs_images: bool | None = None

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
            UserError: The reference is not named or not readable, or the network's weights are not
                found.
        """
        self.extractor.prepare()
        if self.needs_images is not None:
            _ = self.reference

    @cached_property
    def reference(self) -> Reference:
        """The reference, with its header read.

        Raises:
            UserError: There is none, or it holds statistics where images are needed.
        """
        name, given = type(self).__name__, self.given
        if given is None:
            raise UserError(
                f'{name} needs a reference: set `reference` of test_evaluator to an npz or a '
                f'folder of images.'
            )
        reference = given if isinstance(given, Reference) else Reference(given, self.extractor)
        if self.needs_images and reference.images is None:
            raise UserError(f'{name} compares images, and {given} holds statistics alone.')
        return reference

    def statement(self) -> str:
        network = ', '.join(f'{key} {value}' for key, value in self.extractor.describe().items())
        against = f' against {self.given}' if self.needs_images is not None else ''
        return f'{self.definition}{against}; {network}'

    def outputs(self, sample: dict) -> dict[str, Tensor]:
        """Return the network's outputs for a batch, computed once for all metrics that share it.

        Raises:
            UserError: It gives NaN or infinite numbers.
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


@METRICS.register_module()
class SampleFrechet(SampleMetric):
    """Fréchet distance of the samples to a reference, by its ``mu`` and ``sigma`` if it has them.

    The name is ``fid_inception`` for the FID Inception network, ``fd_<network>`` for others.

    Args:
        features, reference: See :class:`SampleMetric`.
    """

    needs_images = False
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


@METRICS.register_module()
class SampleInceptionScore(SampleMetric):
    """``inception_score`` and ``inception_score_std``: mean and deviation over splits
    (:mod:`openmagvit2.evaluation.inception_score`).

    Args:
        features: See :class:`SampleMetric`; the network must classify.
        split_size: Samples of a split, in the order of the whole set.

    Raises:
        UserError: ``split_size`` is below 1.
    """

    definition = 'Inception score, consecutive splits, not shuffled'

    def __init__(self, *, features: dict | None = None, split_size: int = 5000) -> None:
        if split_size < 1:
            raise UserError(f'SampleInceptionScore: split_size must be above 0, got {split_size}.')
        super().__init__(0, features)
        self.split_size = split_size
        # Number of sums of a split; the main process has the first batch, so it knows it.
        self.columns = 0

    def update(self, sample: dict) -> None:
        """Fold a batch into the sums of each sample's split.

        Raises:
            UserError: The network gives features only.
        """
        outputs = self.outputs(sample)
        if 'logits' not in outputs:
            raise UserError(
                f'The Inception score needs a network that classifies; {self.extractor.name} gives '
                f'features only.'
            )
        rows = split_rows(outputs['logits'])
        self.columns = rows.shape[1]
        if not len(self.total):
            splits = -(-sample['count'] // self.split_size)
            self.total = torch.zeros(splits * self.columns, dtype=torch.float64)
        split = torch.as_tensor(sample['places']) // self.split_size
        self.total.view(-1, self.columns).index_add_(0, split, rows)

    def result(self, total: Tensor) -> dict[str, float]:
        """Return mean and deviation of the scores of the splits."""
        return score_of(total.view(-1, self.columns))


class PairedMetric(SampleMetric):
    """Compare the features of single samples with those of a reference's images.

    It keeps the features of every sample (float32: 50,000 of 2,048 are 0.4 GB), which the main
    process collects in the end.
    """

    needs_images = True

    def __init__(self, *, features: dict | None = None, reference: str | None = None) -> None:
        super().__init__(1, features, reference)

    def compared(self, generated: Tensor, reference: Tensor) -> dict[str, float]:
        """Return values by name from features (N, dim) and (M, dim)."""
        raise NotImplementedError

    def reset(self) -> None:
        """Reset the features."""
        super().reset()
        self.places: list[Tensor] = []
        self.features: list[Tensor] = []

    def update(self, sample: dict) -> None:
        """Keep a batch's features."""
        self.features.append(self.outputs(sample)['features'].float().cpu())
        self.places.append(torch.as_tensor(sample['places']))
        self.total += len(self.places[-1])

    def summed(self) -> Tensor:
        """Return the number of samples; gather the features of all in the main process."""
        mine = (self.places, self.features)
        if get_world_size() > 1:
            parts: list = [None] * get_world_size()
            dist.gather_object(mine, parts if is_main_process() else None, dst=0)
            if is_main_process():
                self.places, self.features = (sum(part, []) for part in zip(*parts, strict=True))
        return super().summed()

    def result(self, total: Tensor) -> dict[str, float]:
        """Compare the features of all samples, in order, with the reference's."""
        ours = torch.empty(int(total), self.extractor.dim)
        while self.features:
            # Let go one by one: all of them twice would need twice the memory.
            ours[self.places.pop()] = self.features.pop()
        return self.compared(ours, self.reference.features)


@METRICS.register_module()
class SamplePrecisionRecall(PairedMetric):
    """``precision`` and ``recall``: improved precision and recall against a reference's images.

    Args:
        features, reference: See :class:`SampleMetric`.
        neighbours: k of the k-th neighbour; the ADM evaluator takes 3.
    """

    definition = 'precision and recall of all samples'

    def __init__(
        self, *, features: dict | None = None, reference: str | None = None, neighbours: int = 3
    ) -> None:
        self.neighbours = neighbours
        super().__init__(features=features, reference=reference)

    def statement(self) -> str:
        return f'{super().statement()}; neighbour {self.neighbours}'

    def compared(self, generated: Tensor, reference: Tensor) -> dict[str, float]:
        return precision_recall(generated, reference, self.neighbours)


@METRICS.register_module()
class SampleKernelDistance(PairedMetric):
    """``kid`` and ``kid_std``: kernel distance to a reference's images, mean and deviation over
    subsets (:mod:`openmagvit2.evaluation.kernel_distance`).

    Args:
        features, reference: See :class:`SampleMetric`.
    """

    definition = 'kernel distance of all samples'

    def compared(self, generated: Tensor, reference: Tensor) -> dict[str, float]:
        return kernel_distance(generated, reference)
