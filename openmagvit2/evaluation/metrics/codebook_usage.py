"""Codebook usage over a data set (docs/reference/specification.md, Lookup-free quantization)."""

from operator import add

import torch
from mmengine.dist import all_gather_object

from openmagvit2.evaluation.metrics.base import StreamingMetric
from openmagvit2.evaluation.usage import Book, count, summary
from openmagvit2.registry import METRICS


@METRICS.register_module()
class CodebookUsage(StreamingMetric):
    """``usage``: fraction of the codes that occur at least once in the whole set; ``perplexity``:
    exp of the entropy of their frequencies; of several codebooks the means, and each one's own.

    Counts are summed over processes. A set of fewer tokens than codes cannot reach 1;
    ``usage_of_possible`` divides by the smaller of the two numbers.
    """

    stage = 'tokenizer'

    def __init__(self) -> None:
        # The only sum is the number of tokens.
        super().__init__(1, torch.int64)

    def reset(self) -> None:
        """Reset the counts."""
        super().reset()
        self.books: list[Book] = []

    def update(self, sample: dict) -> None:
        """Count the indices of a batch.

        Raises:
            UserError: An index is outside its codebook.
        """
        sizes = sample.get('codebook_sizes')
        if sizes is None:
            sizes = (sample['codebook_size'],) * sample.get('num_codebooks', 1)
        books = count(sample['indices'].cpu(), sizes, type(self).__name__)
        self.books = list(map(add, self.books, books)) if self.books else books
        self.total += sample['indices'].numel() // len(sizes)

    def evaluate(self, size: int) -> dict[str, float]:
        """Return the usage over all processes, and reset the counts."""
        self.summed()
        # A process without a batch learns the codebooks from the others.
        sizes = max(all_gather_object([book.size for book in self.books]), key=len)
        empty = torch.zeros(0, dtype=torch.int64)
        books = [book.summed() for book in self.books or [Book.of(empty, size) for size in sizes]]
        self.reset()
        return summary(books)
