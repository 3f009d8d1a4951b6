"""Inception score of samples."""

import torch
from torch import Tensor

from openmagvit2.errors import UserError
from openmagvit2.evaluation.inception_score import score_of, split_rows
from openmagvit2.evaluation.metrics.samples import SampleMetric
from openmagvit2.registry import METRICS


@METRICS.register_module()
class SampleInceptionScore(SampleMetric):
    """``inception_score`` and ``inception_score_std``: mean and deviation over splits
    (:mod:`openmagvit2.evaluation.inception_score`).

    Args:
        features: See :class:`SampleMetric`; the network must be a classifier.
        split_size: Samples per split, in the order of the whole set.

    Raises:
        UserError: ``split_size`` is below 1.
    """

    enough = 5_000
    definition = 'Inception score, consecutive splits, not shuffled'

    def __init__(self, *, features: dict | None = None, split_size: int = 5000) -> None:
        if split_size < 1:
            raise UserError(f'SampleInceptionScore: split_size must be above 0, got {split_size}.')
        super().__init__(0, features)
        self.split_size = split_size
        # Number of sums per split. The main process, which computes the result, always has a batch.
        self.columns = 0

    def update(self, sample: dict) -> None:
        """Add a batch to the sums of each sample's split.

        Raises:
            UserError: The network returns only features.
        """
        outputs = self.outputs(sample)
        if 'logits' not in outputs:
            raise UserError(
                f'The Inception score needs a classifier; {self.extractor.name} returns only '
                f'features.'
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
