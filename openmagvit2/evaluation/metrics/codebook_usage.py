"""How much of the codebook a data set uses (docs/reference/specification.md, Lookup-free
quantization).
"""

import torch
from torch import Tensor

from openmagvit2.errors import UserError
from openmagvit2.evaluation.metrics.base import StreamingMetric
from openmagvit2.registry import METRICS


@METRICS.register_module()
class CodebookUsage(StreamingMetric):
    """``usage``: fraction of the codes that occur at least once in the whole set; ``perplexity``:
    exp of the entropy of their frequencies.

    Counts are int64 and summed over processes. A set of fewer tokens than codes cannot reach 1;
    ``usage_of_possible`` divides by the smaller of the two numbers.
    """

    stage = 'tokenizer'

    def __init__(self) -> None:
        super().__init__(0, torch.int64)

    def update(self, sample: dict) -> None:
        """Count the indices of a batch.

        Raises:
            UserError: An index is not in the codebook: the quantizer or its ``codebook_size`` is
                wrong; the indices are of several codebooks, which one table would mix.
        """
        size, books = sample['codebook_size'], sample.get('num_codebooks', 1)
        if books > 1:
            raise UserError(
                f'CodebookUsage counts one codebook, and the quantizer has {books}; '
                'leave it out of the evaluators, or write a metric that counts each.'
            )
        if not len(self.total):
            self.total = torch.zeros(size, dtype=torch.int64)
        indices = sample['indices'].flatten().cpu()
        wrong = indices[(indices < 0) | (indices >= size)]
        if len(wrong):
            raise UserError(
                f'CodebookUsage: the quantizer gave the index {wrong[0].item()}, but its '
                f'codebook_size is {size}; correct one of the two.'
            )
        self.total += torch.bincount(indices, minlength=len(self.total))

    def result(self, total: Tensor) -> dict[str, float]:
        """From counts (codebook_size,)."""
        used = int((total > 0).sum())
        p = total[total > 0].double() / total.sum()
        possible = min(len(total), int(total.sum()))
        return dict(
            usage=used / len(total),
            usage_of_possible=used / possible,
            perplexity=(-(p * p.log()).sum()).exp().item(),
        )
