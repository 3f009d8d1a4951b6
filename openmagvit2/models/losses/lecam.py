"""LeCAM regularization of the discriminator (spec §3.3)."""

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from openmagvit2.registry import LOSSES


@LOSSES.register_module()
class LeCAM(nn.Module):
    """Pulls logits towards running averages of the other side's logits.

    Unlike the official code the averages are buffers (saved with the model), are updated in
    training only, and are the same on all processes.

    Args:
        decay: Of the running averages, which start at 0.
    """

    def __init__(self, *, decay: float = 0.999) -> None:
        super().__init__()
        self.decay = decay
        # Parts of a batch whose means the averages have had already.
        self.parts_left = 0
        self.register_buffer('real_average', torch.zeros(()))
        self.register_buffer('fake_average', torch.zeros(()))

    def forward(self, real: Tensor, fake: Tensor) -> Tensor:
        """Update the averages in training mode, then the penalty: logits (B, 1, h, w) twice to a
        scalar.
        """
        if self.training and self.parts_left:
            self.parts_left -= 1
        elif self.training:
            self._update(real, fake)
        return (
            F.relu(real - self.fake_average).square().mean()
            + F.relu(self.real_average - fake).square().mean()
        )

    def begin_step(self, real: Tensor, fake: Tensor, parts: int) -> None:
        """Update the averages with the logits of a whole batch, whose parts will come one after the
        other.
        """
        self._update(real, fake)
        self.parts_left = parts

    @torch.no_grad()
    def _update(self, real: Tensor, fake: Tensor) -> None:
        means = torch.stack([real.float().mean(), fake.float().mean()])
        if dist.is_initialized() and dist.get_world_size() > 1:
            dist.all_reduce(means)
            means /= dist.get_world_size()
        self.real_average.lerp_(means[0], 1 - self.decay)
        self.fake_average.lerp_(means[1], 1 - self.decay)
