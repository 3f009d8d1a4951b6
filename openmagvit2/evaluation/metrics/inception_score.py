"""Inception score of a generated set, by torch-fidelity's function."""

import numpy as np
import torch
from torch import Tensor
from torch_fidelity.metric_isc import isc_features_to_metric


class InceptionScore:
    """``inception_score``: mean over splits of exp of the mean KL divergence of an image's classes from those of its split.

    Splits of a size that are not shuffled are scored as they fill, so that 5,000 rows are all that is kept. A shorter last split counts as
    one, as in the ADM evaluator; 50,000 images have none.

    Args:
        splits: ``dict(size=5000)``, the ADM evaluator's consecutive splits, or ``dict(number=10)``, torch-fidelity's.
        shuffle: Whether rows are permuted first, as torch-fidelity does.
        seed: Of the permutation.

    Raises:
        ValueError: ``splits`` is neither of the two.
    """

    def __init__(self, *, splits: dict[str, int] | None = None, shuffle: bool = False, seed: int = 2020) -> None:
        self.splits = splits or dict(size=5000)
        (kind, count), *more = self.splits.items()
        if more or kind not in ('size', 'number') or count < 1:
            raise ValueError(f'InceptionScore: splits must be dict(size=N) or dict(number=N) with N above 0, got {splits!r}.')
        self.shuffle, self.seed = shuffle, seed
        self.rows: list[Tensor] = []
        self.waiting = 0
        self.scores: list[float] = []

    def update(self, logits: Tensor) -> None:
        """Fold the logits (B, classes) of a batch."""
        self.rows.append(logits.cpu())
        self.waiting += len(logits)
        size = self.splits.get('size')
        while size and not self.shuffle and self.waiting >= size:
            rows = torch.cat(self.rows)
            self.scores.append(_score(rows[:size]))
            # A copy: a view would hold on to all rows.
            self.rows, self.waiting = [rows[size:].clone()], len(rows) - size

    def result(self) -> dict[str, float]:
        """Mean and standard deviation over splits.

        Raises:
            ValueError: No image, or more splits than images.
        """
        scores, rows = list(self.scores), torch.cat(self.rows) if self.waiting else torch.zeros(0, 1)
        if not scores and len(rows) < self.splits.get('number', 1):
            raise ValueError(f'The Inception score of {len(rows)} images cannot be taken in {self.splits}.')
        if 'number' in self.splits:
            out = isc_features_to_metric(rows, self.splits['number'], self.shuffle, self.seed)
            return dict(inception_score=out['inception_score_mean'], inception_score_std=out['inception_score_std'])
        if self.shuffle:
            rows = rows[np.random.RandomState(self.seed).permutation(len(rows))]
        scores += [_score(part) for part in rows.split(self.splits['size']) if len(part)]
        return dict(inception_score=float(np.mean(scores)), inception_score_std=float(np.std(scores)))


def _score(logits: Tensor) -> float:
    return isc_features_to_metric(logits, splits=1, shuffle=False)['inception_score_mean']
