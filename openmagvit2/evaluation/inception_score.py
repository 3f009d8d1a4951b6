"""Inception score of a generated set."""

import numpy as np
import torch
from torch import Tensor

from openmagvit2.errors import UserError
from openmagvit2.evaluation.finite import check_finite


class InceptionScore:
    """``inception_score``: mean over splits of exp of the mean KL divergence.

    The divergence is between the class distribution of an image and that of its split.

    Consecutive splits of a size are folded into float64 sums; logits are kept only where
    torch-fidelity's function needs all of them. A shorter last split counts as one, as in the ADM
    evaluator; 50,000 images have none.

    Args:
        splits: ``dict(size=5000)``, the ADM evaluator's consecutive splits, or ``dict(number=10)``,
            torch-fidelity's.
        shuffle: Whether images are permuted first, as torch-fidelity does; goes with ``number``.
        seed: Random seed of the permutation.

    Raises:
        UserError: ``splits`` is neither of the two, or ``shuffle`` stands beside a size.
    """

    def __init__(
        self, *, splits: dict[str, int] | None = None, shuffle: bool = False, seed: int = 2020
    ) -> None:
        self.splits = splits or dict(size=5000)
        (kind, count), *more = self.splits.items()
        if more or kind not in ('size', 'number') or count < 1:
            raise UserError(
                f'InceptionScore: splits must be dict(size=N) or dict(number=N) with N above 0, '
                f'got {splits!r}.'
            )
        if shuffle and kind == 'size':
            raise UserError('InceptionScore: shuffle=True goes with splits=dict(number=N).')
        self.shuffle, self.seed = shuffle, seed
        self.logits: list[Tensor] = []
        self.scores: list[float] = []
        self._begin()

    def _begin(self) -> None:
        # Sums over the current split: images, p log p, and p.
        self.count, self.entropy, self.classes = 0, 0.0, torch.zeros(())

    def update(self, logits: Tensor) -> None:
        """Fold the logits (B, classes) of a batch.

        Raises:
            UserError: They are not finite.
        """
        check_finite(logits, 'Logits of the generated set')
        if 'number' in self.splits:
            self.logits.append(logits.cpu())
            return
        size = self.splits['size']
        while len(logits):
            part, logits = logits[: size - self.count], logits[size - self.count :]
            log_p = part.cpu().double().log_softmax(1)
            self.count += len(part)
            self.entropy += (log_p.exp() * log_p).sum().item()
            self.classes = self.classes + log_p.exp().sum(0)
            if self.count == size:
                self.scores.append(self._score())
                self._begin()

    def _score(self) -> float:
        """Return exp of the current split's mean p log p minus the sum of q log q, q = mean p."""
        q = self.classes / self.count
        return float(np.exp(self.entropy / self.count - torch.special.xlogy(q, q).sum().item()))

    def result(self) -> dict[str, float]:
        """Return mean and standard deviation over splits.

        Raises:
            UserError: No image, or more splits than images.
        """
        if 'number' in self.splits:
            images = sum(map(len, self.logits))
            if images < self.splits['number']:
                raise UserError(
                    f'The Inception score of {images} images cannot be taken in '
                    f'{self.splits["number"]} splits.'
                )
            from torch_fidelity.metric_isc import isc_features_to_metric

            out = isc_features_to_metric(
                torch.cat(self.logits), self.splits['number'], self.shuffle, self.seed
            )
            return dict(
                inception_score=out['inception_score_mean'],
                inception_score_std=out['inception_score_std'],
            )
        scores = self.scores + ([self._score()] if self.count else [])
        if not scores:
            raise UserError('The Inception score needs images.')
        return dict(
            inception_score=float(np.mean(scores)), inception_score_std=float(np.std(scores))
        )
