"""What streaming metrics share."""

import torch
import torch.distributed as dist
from mmengine.evaluator import BaseMetric
from torch import Tensor


class StreamingMetric(BaseMetric):
    """Folds batches into ``self.total``, which is summed over processes: constant memory, any batch size, uneven last batches.

    A subclass implements :meth:`update` and :meth:`result`, and gives the shape of its sums to the constructor.
    """

    # Names stand as they are; mmengine warns where there is no prefix at all.
    default_prefix = ''

    def __init__(self, size: int, dtype: torch.dtype = torch.float64) -> None:
        super().__init__(collect_device='cpu')
        self.size, self.dtype = size, dtype
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self.total = torch.zeros(self.size, dtype=self.dtype)

    def process(self, data_batch: dict, data_samples: list[dict]) -> None:
        """``data_samples`` holds one dict of batched tensors, as ``val_step`` gives."""
        for sample in data_samples:
            self.update(sample)

    def update(self, sample: dict) -> None:
        """Fold one batch into ``self.total``."""
        raise NotImplementedError

    def result(self, total: Tensor) -> dict[str, float]:
        """Values by name from the sums over all processes."""
        raise NotImplementedError

    def evaluate(self, size: int) -> dict[str, float]:
        """Sum over processes, give the values, and reset; ``size`` is not needed."""
        total = self.total.clone()
        if dist.is_initialized() and dist.get_world_size() > 1:
            device = 'cuda' if dist.get_backend() == 'nccl' else 'cpu'
            total = total.to(device)
            dist.all_reduce(total)
        self.reset()
        return self.result(total.cpu())

    def compute_metrics(self, results: list) -> dict:
        """Not used: :meth:`evaluate` does the work."""
        return {}
