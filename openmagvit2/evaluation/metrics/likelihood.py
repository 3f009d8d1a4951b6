"""Likelihood of images' tokens under a generator."""

import torch
from torch import Tensor

from openmagvit2.evaluation.metrics.base import StreamingMetric
from openmagvit2.registry import METRICS


@METRICS.register_module()
class NegativeLogLikelihood(StreamingMetric):
    """``nll``: mean nats per image, summed over its tokens and sub-tokens, given its class;
    comparable for one tokenizer only.
    """

    stage = 'generator'

    def __init__(self) -> None:
        super().__init__(2)

    def update(self, sample: dict) -> None:
        """Fold ``nll`` (B,)."""
        nll = sample['nll'].cpu().double()
        self.total += torch.stack([nll.sum(), torch.tensor(float(len(nll)), dtype=torch.float64)])

    def result(self, total: Tensor) -> dict[str, float]:
        """Return the mean from sum and count."""
        return dict(nll=(total[0] / total[1]).item())
