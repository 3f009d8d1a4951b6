"""Inception score of samples."""

import torch
from torch import Tensor

from openmagvit2.errors import UserError
from openmagvit2.evaluation.metrics.samples import SampleMetric
from openmagvit2.registry import METRICS
from openmagvit2.signatures import Count


@METRICS.register_module()
class SampleInceptionScore(SampleMetric):
    """``inception_score`` and ``inception_score_std``: mean and standard deviation over splits of
    exp of the mean KL divergence between the class distribution of an image and that of its split.

    The sums of a split are a row: number of images, p log p, and p of each class. A shorter last
    split counts as a whole one, as in the ADM evaluator; 50,000 images in splits of 5,000 have
    none.

    Args:
        features: See :class:`SampleMetric`; the network must be a classifier.
        split_size: Samples per split, in the order of the whole set.
    """

    enough = 5_000
    definition = 'Inception score, consecutive splits, not shuffled'

    def __init__(self, *, features: dict | None = None, split_size: Count = 5000) -> None:
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
        log_p = outputs['logits'].cpu().double().log_softmax(1)
        p = log_p.exp()
        rows = torch.cat([torch.ones(len(p), 1), (p * log_p).sum(1, keepdim=True), p], 1)
        self.columns = rows.shape[1]
        if not len(self.total):
            splits = -(-sample['count'] // self.split_size)
            self.total = torch.zeros(splits * self.columns, dtype=torch.float64)
        split = torch.as_tensor(sample['places']) // self.split_size
        self.total.view(-1, self.columns).index_add_(0, split, rows)

    def result(self, total: Tensor) -> dict[str, float]:
        """Return mean and deviation of exp(mean p log p - sum of q log q) over the splits that have
        images, where q is the mean of p.
        """
        sums = total.view(-1, self.columns)
        count, entropy, classes = sums[sums[:, 0] > 0].split([1, 1, self.columns - 2], 1)
        q = classes / count
        scores = (entropy / count - torch.special.xlogy(q, q).sum(1, keepdim=True)).exp().numpy()
        return dict(inception_score=float(scores.mean()), inception_score_std=float(scores.std()))
