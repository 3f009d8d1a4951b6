"""The base class of metrics that fold batches into sums."""

import torch
from mmengine.dist import all_gather_object, all_reduce
from mmengine.evaluator import BaseMetric
from torch import Tensor

from openmagvit2.errors import UserError


class StreamingMetric(BaseMetric):
    """Fold batches into ``self.total``, which is summed over processes.

    By default the metric is the mean of :meth:`values` over all images, under the name
    :attr:`name`. A metric of other sums implements :meth:`update` and :meth:`result` instead.

    Memory is constant, batches may have any size, and the last one may be smaller.

    Args:
        size: Number of sums; by default the sum of the values and their count.
        dtype: Type of the sums.
    """

    name = ''
    # mmengine warns if there is no prefix at all.
    default_prefix = ''
    # Model whose output is measured: 'tokenizer' or 'generator'; None: either.
    stage: str | None = None
    # Whether it measures images that a generator samples, instead of an evaluation set.
    measures_samples = False

    def __init__(self, size: int = 2, dtype: torch.dtype = torch.float64, /) -> None:
        super().__init__(collect_device='cpu')
        self.size, self.dtype = size, dtype
        self.reset()

    def reset(self) -> None:
        """Reset the sums."""
        self.total = torch.zeros(self.size, dtype=self.dtype)

    def process(self, data_batch: dict, data_samples: list[dict]) -> None:
        """Update from each dict of batched tensors that ``val_step`` returns."""
        for sample in data_samples:
            self.update(sample)

    def values(self, sample: dict) -> Tensor:
        """Return the value of each image of a batch, (B,)."""
        raise NotImplementedError

    def update(self, sample: dict) -> None:
        """Fold a batch into ``self.total``."""
        values = self.values(sample).cpu().double()
        self.total += torch.stack([values.sum(), values.new_tensor(len(values))])

    def result(self, total: Tensor) -> dict[str, float]:
        """Return values by name from the sums over all processes."""
        return {self.name: (total[0] / total[1]).item()}

    def prepare(self) -> None:
        """Load what the metric needs before the first image, so that a missing file fails early."""

    def statement(self) -> str:
        """Describe the metric for the record, after :meth:`prepare`.

        By default, this is the first paragraph of the docstring of the class.
        """
        return ' '.join((type(self).__doc__ or '').split('\n\n')[0].split())

    def evaluate(self, size: int) -> dict[str, float]:
        """Return the values over all processes and reset; ``size`` is not used."""
        total = self.summed()
        self.reset()
        return self.result(total)

    def summed(self) -> Tensor:
        """Return the sums over all processes, on the CPU.

        Raises:
            UserError: No process has had a batch.
        """
        # A metric may learn the number of its sums from its first batch; a process without a batch
        # learns it from the others.
        lengths = all_gather_object(self.total.numel())
        if not self.total.numel():
            self.total = torch.zeros(max(lengths), dtype=self.total.dtype)
        total = self.total.clone()
        all_reduce(total)
        if not total.any():
            raise UserError(
                f'{type(self).__name__}: no image was evaluated; correct val_dataloader or '
                f'test_dataloader.'
            )
        return total.cpu()

    def compute_metrics(self, results: list) -> dict:
        """Return nothing: :meth:`evaluate` replaces it."""
        return {}


def measures_samples(metric: object) -> bool:
    """Return whether a class is a metric of a generator's samples, not of a data set."""
    return (
        isinstance(metric, type) and issubclass(metric, StreamingMetric) and metric.measures_samples
    )
