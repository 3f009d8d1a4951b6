"""How much of the codebook a data set uses (docs/reference/specification.md, Lookup-free
quantization).
"""

import torch
import torch.distributed as dist
from torch import Tensor

from openmagvit2.evaluation.metrics.base import StreamingMetric
from openmagvit2.evaluation.usage import count, summary
from openmagvit2.registry import METRICS


@METRICS.register_module()
class CodebookUsage(StreamingMetric):
    """``usage``: fraction of the codes that occur at least once in the whole set; ``perplexity``:
    exp of the entropy of their frequencies; of several codebooks the means, and each one's own.

    Counts are int64 and summed over processes. A set of fewer tokens than codes cannot reach 1;
    ``usage_of_possible`` divides by the smaller of the two numbers.
    """

    stage = 'tokenizer'

    def __init__(self) -> None:
        super().__init__(0, torch.int64)
        self.sizes: tuple[int, ...] = ()

    def update(self, sample: dict) -> None:
        """Count the indices of a batch.

        Raises:
            UserError: An index is not in its codebook.
        """
        sizes = sample.get('codebook_sizes')
        if sizes is None:
            sizes = (sample['codebook_size'],) * sample.get('num_codebooks', 1)
        if not len(self.total):
            self.sizes, self.total = tuple(sizes), torch.zeros(sum(sizes), dtype=torch.int64)
        self.total += count(sample['indices'].cpu(), sizes, type(self).__name__)

    def evaluate(self, size: int) -> dict[str, float]:
        """See :meth:`StreamingMetric.evaluate`."""
        if dist.is_initialized() and dist.get_world_size() > 1:
            # A process without a batch learns from the others where one codebook ends.
            sizes = [self.sizes] * dist.get_world_size()
            dist.all_gather_object(sizes, self.sizes)
            self.sizes = max(sizes, key=len)
        return super().evaluate(size)

    def result(self, total: Tensor) -> dict[str, float]:
        """From counts (sum of the codebooks' sizes,)."""
        return summary(total, self.sizes)
