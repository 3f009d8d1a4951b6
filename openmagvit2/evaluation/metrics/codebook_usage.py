"""How much of the codebook a data set uses (spec §1.1)."""

import torch
from torch import Tensor

from openmagvit2.evaluation.metrics.base import StreamingMetric
from openmagvit2.registry import METRICS


@METRICS.register_module()
class CodebookUsage(StreamingMetric):
    """``usage``: fraction of the codes that occur at least once in the whole set; ``perplexity``: exp of the entropy of their frequencies.

    Counts are int64 and summed over processes. A set of fewer tokens than codes cannot reach 1; ``usage_of_possible`` divides by the
    smaller of the two numbers.
    """

    def __init__(self) -> None:
        super().__init__(0, torch.int64)

    def update(self, sample: dict) -> None:
        """Count the indices of a batch."""
        if not len(self.total):
            self.total = torch.zeros(sample['codebook_size'], dtype=torch.int64)
        self.total += torch.bincount(sample['indices'].flatten().cpu(), minlength=len(self.total))

    def result(self, total: Tensor) -> dict[str, float]:
        """From counts (codebook_size,)."""
        used = int((total > 0).sum())
        p = total[total > 0].double() / total.sum()
        possible = min(len(total), int(total.sum()))
        return dict(usage=used / len(total), usage_of_possible=used / possible, perplexity=(-(p * p.log()).sum()).exp().item())
