"""LeCAM regularization of the discriminator (Tseng et al., 2021)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from openmagvit2.errors import check_choice
from openmagvit2.models.layers.iteration import PerIteration
from openmagvit2.models.layers.sync import all_reduce_mean
from openmagvit2.registry import LOSSES


@LOSSES.register_module()
class LeCAM(PerIteration):
    """Penalize the distance of logits from the EMA of the other side's logits.

    Unlike in the official code, the averages are buffers (saved with the model), updated only in
    training, and equal on all processes. With micro-batches, they are updated once per iteration;
    the loss of a micro-batch uses averages that include the micro-batches so far.

    Args:
        decay: Decay of the averages, which start at 0.
        of: 'logits' (the paper's): mean penalty of all patches, with averages that include the
            current batch; 'mean' (MAGVIT's): penalty of the mean logit of the whole batch, over all
            processes and micro-batches, with averages from before the batch. With micro-batches,
            'mean' costs an extra forward pass.
    """

    real_average: Tensor
    fake_average: Tensor

    def __init__(self, *, decay: float = 0.999, of: str = 'logits') -> None:
        super().__init__()
        check_choice('LeCAM.of', of, ('logits', 'mean'))
        self.decay, self.of = decay, of
        self.whole_batch = of == 'mean'
        self.register_buffer('real_average', torch.zeros(()))
        self.register_buffer('fake_average', torch.zeros(()))

    def forward(self, real: Tensor, fake: Tensor) -> Tensor:
        """Map logits of images and of reconstructions (B, 1, h, w) to a scalar; update the averages
        in training mode.
        """
        before = self._averages()
        means = torch.stack([real.float().mean(), fake.float().mean()])
        if self.training:
            self.gather(means.detach())
        real_average, fake_average = before if self.of == 'mean' else self._after()
        if self.of == 'mean':
            real, fake = self._of_whole_batch(means)
        return (
            F.relu(real - fake_average).square().mean()
            + F.relu(real_average - fake).square().mean()
        )

    def foresee(self, statistics: list[tuple[Tensor, ...]]) -> Tensor:
        """Return the mean real and fake logits, (2,), of an iteration over all processes."""
        return all_reduce_mean(_mean(statistics))

    @torch.no_grad()
    def move(self, statistics: list[tuple[Tensor, ...]]) -> None:
        """Update both averages with the mean logits of an iteration."""
        real_average, fake_average = self._moved(all_reduce_mean(_mean(statistics)))
        self.real_average.copy_(real_average)
        self.fake_average.copy_(fake_average)

    def _averages(self) -> Tensor:
        return torch.stack([self.real_average, self.fake_average])

    def _after(self) -> Tensor:
        """Return the averages updated with the passes of this iteration that are known so far."""
        if self.foreseen is not None:
            return self._moved(self.foreseen)
        known = self.gathered
        return self._moved(all_reduce_mean(_mean(known))) if known else self._averages()

    def _moved(self, means: Tensor) -> Tensor:
        return self._averages().lerp(means, 1 - self.decay)

    def _of_whole_batch(self, means: Tensor) -> Tensor:
        """Return the two mean logits of the whole batch, with the gradient of this pass's means."""
        if self.foreseen is not None:
            return self.foreseen + (means - means.detach())
        return all_reduce_mean(means) if self.training else means


def _mean(statistics: list[tuple[Tensor, ...]]) -> Tensor:
    return torch.stack([means for (means,) in statistics]).mean(0)
