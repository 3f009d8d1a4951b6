"""LPIPS between images and reconstructions (Zhang et al., 2018), by the ``lpips`` package."""

from torch import Tensor, nn

from openmagvit2.checkpoint.hashing import file_hash
from openmagvit2.checkpoint.lpips import TRUNK_FILES, load_lpips
from openmagvit2.checkpoint.weights import find_weights, is_published
from openmagvit2.errors import check_choice
from openmagvit2.evaluation.metrics.base import StreamingMetric
from openmagvit2.registry import METRICS


@METRICS.register_module()
class LPIPS(StreamingMetric):
    """``lpips_<net>``: mean over images, on [-1, 1] without rounding
    (docs/reference/specification.md, Reconstruction metrics).

    Args:
        net: 'alex' (the usual one for metrics) or 'vgg'.
        weights: File of torchvision's trunk; by default as :func:`find_weights` finds it.

    Raises:
        UserError: ``net`` is not one of the two.
    """

    stage = 'tokenizer'

    def __init__(self, *, net: str = 'alex', weights: str | None = None) -> None:
        super().__init__()
        check_choice('LPIPS: net', net, TRUNK_FILES)
        self.net, self.weights, self.name = net, weights, f'lpips_{net}'
        self._network: nn.Module | None = None

    def prepare(self) -> None:
        """Load the network before the first image."""
        self._network = self._network or load_lpips(
            self.net, 'the `weights` of LPIPS', self.weights
        )

    def statement(self) -> str:
        path = find_weights(TRUNK_FILES[self.net], 'LPIPS', 'weights', self.weights)
        kind = 'published' if is_published(path, TRUNK_FILES[self.net]) else 'NOT the published one'
        return (
            f'mean over images, on [-1, 1] without rounding, {self.net} trunk {path.name} '
            f'({kind}, sha256 {file_hash(path)})'
        )

    def values(self, sample: dict) -> Tensor:
        self.prepare()
        network = self._network.to(sample['image'].device)
        return network(sample['image'].float(), sample['reconstruction'].float()).flatten()
