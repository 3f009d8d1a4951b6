"""Inception score: mean over splits of exp of the mean KL divergence between the class distribution
of an image and that of its split.

The sums of a split are one row: images, p log p, and p of each class. A shorter last split counts
as one, as in the ADM evaluator; 50,000 images in splits of 5,000 have none.
"""

import numpy as np
import torch
from torch import Tensor

from openmagvit2.errors import UserError
from openmagvit2.evaluation.finite import check_finite


class InceptionScore:
    """Fold the logits of a set into the sums of its consecutive splits.

    Args:
        split_size: Images of a split.
    """

    def __init__(self, split_size: int = 5000) -> None:
        self.split_size, self.count = split_size, 0
        self.sums = torch.zeros(0, 0, dtype=torch.float64)

    def update(self, logits: Tensor) -> None:
        """Fold the logits (B, classes) of a batch.

        Raises:
            UserError: They are not finite.
        """
        rows = split_rows(check_finite(logits, 'Logits of the generated set'))
        places = torch.arange(self.count, self.count + len(rows)) // self.split_size
        self.count += len(rows)
        sums = rows.new_zeros(-(-self.count // self.split_size), rows.shape[1])
        sums[: len(self.sums)] = self.sums if len(self.sums) else 0
        self.sums = sums.index_add(0, places, rows)

    def result(self) -> dict[str, float]:
        """Return mean and standard deviation over splits.

        Raises:
            UserError: There is no image.
        """
        if not self.count:
            raise UserError('The Inception score needs images.')
        return score_of(self.sums)


def split_rows(logits: Tensor) -> Tensor:
    """Map logits (B, classes) to what each image adds to its split, float64 (B, 2 + classes)."""
    log_p = logits.cpu().double().log_softmax(1)
    p = log_p.exp()
    return torch.cat([torch.ones(len(p), 1), (p * log_p).sum(1, keepdim=True), p], 1)


def score_of(sums: Tensor) -> dict[str, float]:
    """Return exp(mean p log p - sum of q log q), with q the mean of p: its mean and deviation over
    the sums of splits (splits, 2 + classes).
    """
    count, entropy, classes = sums.split([1, 1, sums.shape[1] - 2], 1)
    q = classes / count
    scores = (entropy / count - torch.special.xlogy(q, q).sum(1, keepdim=True)).exp().numpy()
    return dict(inception_score=float(np.mean(scores)), inception_score_std=float(np.std(scores)))
