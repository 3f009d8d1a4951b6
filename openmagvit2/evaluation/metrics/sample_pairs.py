"""Metrics that compare single samples with single images of a reference."""

import torch
import torch.distributed as dist
from mmengine.dist import get_world_size, is_main_process
from torch import Tensor

from openmagvit2.evaluation.kernel_distance import kernel_distance
from openmagvit2.evaluation.metrics.samples import SampleMetric
from openmagvit2.evaluation.precision_recall import precision_recall
from openmagvit2.registry import METRICS


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
        mine = (self.places, self.features)
        if get_world_size() > 1:
            parts: list = [None] * get_world_size()
            dist.gather_object(mine, parts if is_main_process() else None, dst=0)
            if is_main_process():
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
        neighbours: k of the k-th nearest neighbor; the ADM evaluator uses 3.
    """

    enough = 10_000
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

    enough = 1_000
    definition = 'kernel distance of all samples'

    def compared(self, generated: Tensor, reference: Tensor) -> dict[str, float]:
        return kernel_distance(generated, reference)
