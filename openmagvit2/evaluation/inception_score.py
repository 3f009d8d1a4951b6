"""Inception score: mean over splits of exp of the mean KL divergence between the class distribution
of an image and that of its split.

The sums of a split form one row: number of images, p log p, and p of each class. A shorter last
split counts as a whole one, as in the ADM evaluator; 50,000 images in splits of 5,000 have none.
"""

import numpy as np
import torch
from torch import Tensor


def split_rows(logits: Tensor) -> Tensor:
    """Map logits (B, classes) to the terms that each image adds to its split, float64
    (B, 2 + classes).
    """
    log_p = logits.cpu().double().log_softmax(1)
    p = log_p.exp()
    return torch.cat([torch.ones(len(p), 1), (p * log_p).sum(1, keepdim=True), p], 1)


def score_of(sums: Tensor) -> dict[str, float]:
    """Return mean and standard deviation over splits of exp(mean p log p - sum of q log q), where q
    is the mean of p.

    Args:
        sums: Rows of the splits (splits, 2 + classes); those without images are ignored.
    """
    count, entropy, classes = sums[sums[:, 0] > 0].split([1, 1, sums.shape[1] - 2], 1)
    q = classes / count
    scores = (entropy / count - torch.special.xlogy(q, q).sum(1, keepdim=True)).exp().numpy()
    return dict(inception_score=float(np.mean(scores)), inception_score_std=float(np.std(scores)))
