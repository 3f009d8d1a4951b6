"""Likelihood of the tokens of images under a generator."""

from torch import Tensor

from openmagvit2.evaluation.metrics.base import StreamingMetric
from openmagvit2.registry import METRICS


@METRICS.register_module()
class NegativeLogLikelihood(StreamingMetric):
    """``nll``: mean nats per image, summed over its tokens and sub-tokens, given its class;
    comparable for one tokenizer only.
    """

    stage = 'generator'
    name = 'nll'

    def values(self, sample: dict) -> Tensor:
        return sample['nll']
