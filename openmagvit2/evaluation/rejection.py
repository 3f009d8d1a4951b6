"""Rejection sampling with a classifier: the rows "-re" of the paper's Table 4.

For n samples of a class, n / keep are drawn, and the n with the highest probability of the class
are kept (as in VQ-VAE-2, VQGAN and RQ-Transformer).
"""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from openmagvit2.errors import UserError
from openmagvit2.evaluation.features.base import FeatureExtractor, check_finite
from openmagvit2.registry import FEATURES
from openmagvit2.signatures import accepted

# Batch size of the classifier. It is fixed, because rounding may depend on it.
GROUP = 16
# The papers name "an ImageNet ResNet-101", without its weights.
CLASSIFIER = dict(type='TimmFeatures', model='resnet101', layers=(), weights='timm')
# From labels and their numbers to images uint8 (B, 3, H, W).
Draw = Callable[[Sequence[int], Sequence[int]], Tensor]


class Rejection:
    """Draw samples of a class, and keep those with the highest probability of it.

    Args:
        keep: Acceptance rate: the fraction of the samples that is kept, above 0 and at most 1.
        classifier: A network of the feature slot with logits of the generator's classes.

    Raises:
        UserError: ``keep`` is out of range.
    """

    def __init__(self, keep: float, classifier: FeatureExtractor) -> None:
        if isinstance(keep, bool) or not isinstance(keep, (int, float)) or not 0 < keep <= 1:
            raise UserError(f'eval_rejection.keep must be above 0 and at most 1, got {keep!r}.')
        self.keep, self.classifier = keep, classifier

    def drawn(self, count: int) -> int:
        """Return how many samples are drawn to keep ``count``."""
        # 3 / 0.3 is not 10 in floating point.
        return math.ceil(count / self.keep * (1 - 1e-12))

    def prepare(self, labels: Sequence[int], device: torch.device | str) -> None:
        """Read the classifier's weights before the first sample.

        Args:
            labels: Classes that will be drawn.
            device: Device of the classifier.

        Raises:
            UserError: The weights are not found, or the classifier lacks a class.
        """
        self.classifier.prepare(device)
        blank = torch.zeros(1, 3, 32, 32, dtype=torch.uint8, device=device)
        known = self._logits(blank).shape[1]
        unknown = next((label for label in labels if not 0 <= label < known), None)
        if unknown is not None:
            raise UserError(
                f'eval_rejection: {self.classifier.name} has the classes 0 to {known - 1}, but '
                f'class {unknown} is sampled; use a classifier of the same classes.'
            )

    def describe(self) -> dict[str, Any]:
        """Return the settings that determine the samples, for a record."""
        return dict(keep=self.keep, classifier=self.classifier.describe())

    def key(self) -> dict[str, Any]:
        """Return the settings that determine the samples, independent of file paths."""
        return dict(keep=self.keep, classifier=self.classifier.key())

    def best(self, draw: Draw, label: int, count: int, batch_size: int) -> Tensor:
        """Return the best samples of a class, uint8 (count, 3, H, W), in the order of their
        numbers.

        Args:
            draw: Draws images.
            label: Class.
            count: Images to keep.
            batch_size: Images to draw at a time; the result does not depend on it.
        """
        numbers = range(self.drawn(count))
        batches = (numbers[start : start + batch_size] for start in numbers[::batch_size])
        images = itertools.chain.from_iterable(draw([label] * len(some), some) for some in batches)
        kept: list[tuple[float, int, Tensor]] = []
        for start in numbers[::GROUP]:
            group = torch.stack(list(itertools.islice(images, GROUP)))
            scores = (-self.scores(group, label)).tolist()
            # Copies, because a view would keep its whole group in memory.
            kept += zip(scores, itertools.count(start), map(torch.clone, group), strict=False)
            # Of two equal scores, the first is kept.
            kept = sorted(kept, key=lambda sample: sample[:2])[:count]
        return torch.stack([image for _, _, image in sorted(kept, key=lambda sample: sample[1])])

    def scores(self, images: Tensor, label: int) -> Tensor:
        """Return log(p / (1 - p)), float64 (B,), where p is the probability of a class for images
        uint8 (B, 3, H, W).
        """
        last = images[-1:].expand(max(GROUP - len(images), 0), -1, -1, -1)
        whole = torch.cat([images, last]).to(self.classifier.device)
        logits = self._logits(whole)[: len(images)].cpu().double()
        others = logits.index_fill(1, torch.tensor([label]), -math.inf)
        # It orders images like p, but values of p near 1 would be equal after rounding.
        return check_finite(logits[:, label] - others.logsumexp(1), "The classifier's outputs")

    @torch.no_grad()
    def _logits(self, images: Tensor) -> Tensor:
        outputs = self.classifier(images)
        if 'logits' not in outputs:
            raise UserError(
                f'eval_rejection needs a classifier; {self.classifier.name} returns only features.'
            )
        return outputs['logits']


def build_rejection(config: Mapping[str, Any] | None) -> Rejection | None:
    """Build ``eval_rejection`` of a config; return None if it keeps every sample.

    Args:
        config: ``keep``, and the keys of a network of the feature slot; by default timm's
            ResNet-101 with timm's weights.

    Raises:
        UserError: ``keep`` is missing, or the network does not accept a key.
    """
    if not config:
        return None
    config = dict(config)
    keep = config.pop('keep', None)
    if keep == 1:
        return None
    if config.get('type', CLASSIFIER['type']) == CLASSIFIER['type']:
        config = CLASSIFIER | config
    kind = FEATURES.find(config['type'])
    wrong = sorted(config.keys() - accepted(kind) - {'type'}) if kind else []
    if wrong:
        listed = ', '.join(sorted(accepted(kind) | {'keep'}))
        raise UserError(f'eval_rejection has no `{wrong[0]}`; it has {listed}.')
    return Rejection(keep, FEATURES.build(config))
