"""Metrics that compare single samples with single images of a reference, by torch-fidelity."""

import torch
from mmengine.dist import gather_object
from torch import Tensor

from openmagvit2.errors import UserError
from openmagvit2.evaluation.metrics.samples import SampleMetric
from openmagvit2.registry import METRICS

# Rows whose distances to all others are in memory at a time: 500 x 50,000 take 100 MB.
PART = 500


class PairedMetric(SampleMetric):
    """Compare the features of the samples with those of a reference's images.

    It keeps the features of every sample (float32: 50,000 of 2,048 take 0.4 GB), which the main
    process gathers at the end.
    """

    needs = 'images'

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
        parts = gather_object((self.places, self.features))
        if parts:
            self.places, self.features = (sum(part, []) for part in zip(*parts, strict=True))
        return super().summed()

    def result(self, total: Tensor) -> dict[str, float]:
        """Compare the features of all samples, in their order, with the reference's."""
        ours = torch.empty(int(total), self.extractor.dim)
        while self.features:
            # Free one after the other: all of them twice would need twice the memory.
            ours[self.places.pop()] = self.features.pop()
        return self.compared(ours, self.reference.features)


@METRICS.register_module()
class SamplePrecisionRecall(PairedMetric):
    """``precision`` and ``recall``: improved precision and recall against a reference's images.

    Args:
        features, reference: See :class:`SampleMetric`.
        neighbors: k of the k-th nearest neighbor; the ADM evaluator uses 3.
        neighbours: Earlier spelling of ``neighbors``, which old configs contain.
    """

    enough = 10_000
    definition = 'precision and recall of all samples'

    def __init__(
        self,
        *,
        features: dict | None = None,
        reference: str | None = None,
        neighbors: int = 3,
        neighbours: int | None = None,
    ) -> None:
        self.neighbors = neighbors if neighbours is None else neighbours
        super().__init__(features=features, reference=reference)

    def statement(self) -> str:
        return f'{super().statement()}; neighbor {self.neighbors}'

    def compared(self, generated: Tensor, reference: Tensor) -> dict[str, float]:
        return precision_recall(generated, reference, self.neighbors)


@METRICS.register_module()
class SampleKernelDistance(PairedMetric):
    """``kid`` and ``kid_std``: kernel distance to a reference's images, mean and deviation over
    subsets (:func:`kernel_distance`).

    Args:
        features, reference: See :class:`SampleMetric`.
    """

    enough = 1_000
    definition = 'kernel distance of all samples'

    def compared(self, generated: Tensor, reference: Tensor) -> dict[str, float]:
        return kernel_distance(generated, reference)


def precision_recall(generated: Tensor, reference: Tensor, neighbors: int = 3) -> dict[str, float]:
    """Compute improved precision and recall (Kynkäänniemi et al., 2019).

    ``precision`` is the fraction of generated images that are closer to some reference image than
    its k-th nearest neighbor in the reference set; ``recall`` is the same with the sets exchanged.

    Args:
        generated, reference: Features (N, dim) and (M, dim), float32.
        neighbors: k.

    Raises:
        UserError: A set has at most k images.
    """
    from torch_fidelity.metric_prc import prc_features_to_metric

    if min(len(generated), len(reference)) <= neighbors:
        raise UserError(
            f'Precision and recall need more than {neighbors} images in each set, got '
            f'{len(generated)} and {len(reference)}.'
        )
    settings = dict(prc_neighborhood=neighbors, prc_batch_size=PART, save_cpu_ram=True)
    out = prc_features_to_metric(generated, reference, **settings, verbose=False)
    return dict(precision=out['precision'], recall=out['recall'])


def kernel_distance(generated: Tensor, reference: Tensor) -> dict[str, float]:
    """Compute the kernel Inception distance: the unbiased squared MMD with a cubic kernel, mean and
    standard deviation over 100 random subsets of at most 1000 images.

    Args:
        generated, reference: Features (N, dim) and (M, dim).

    Raises:
        UserError: A set has fewer than two images.
    """
    from torch_fidelity.metric_kid import kid_features_to_metric

    size = min(1000, len(generated), len(reference))
    if size < 2:
        raise UserError(
            f'KID needs at least 2 images in each set, got {len(generated)} and {len(reference)}.'
        )
    settings = dict(kid_subsets=100, kid_subset_size=size, rng_seed=2020)
    out = kid_features_to_metric(generated, reference, **settings, verbose=False)
    name = 'kernel_inception_distance'
    return dict(kid=out[f'{name}_mean'], kid_std=out[f'{name}_std'])
