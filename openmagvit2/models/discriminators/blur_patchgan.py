"""The discriminator of the 16,384-code pretraining: antialiased stages without BatchNorm
(docs/reference/specification.md, Discriminators).
"""

import torch.nn.functional as F
from torch import Tensor, nn

from openmagvit2.errors import UserError
from openmagvit2.models.discriminators.base import KEY, BaseDiscriminator
from openmagvit2.models.layers.blur import BlurDownsample
from openmagvit2.registry import DISCRIMINATORS
from openmagvit2.signatures import Count


@DISCRIMINATORS.register_module()
class BlurPatchGAN(BaseDiscriminator):
    """PatchGAN with convolution, blurred downsampling and GroupNorm in each stage; parameter names
    are the official ones.

    Without BatchNorm, its logits do not depend on how a batch is split over processes.

    Args:
        channels: Width of the first two stages; each later stage doubles it.
        num_stages: Number of stages of stride 2.
        blur: Size of the binomial kernel: 3, 4 or 5.
        pool: Size to which adaptive max pooling reduces the feature map before the logits (TiTok:
            16); None disables it.

    Raises:
        UserError: ``channels`` is not a multiple of 32, or ``blur`` is not one of these sizes.
    """

    def __init__(
        self,
        *,
        channels: Count = 128,
        num_stages: Count = 3,
        blur: Count = 4,
        pool: Count | None = None,
    ) -> None:
        super().__init__()
        self.pool = pool
        if channels % 32:
            raise UserError(
                f'{KEY}.channels must be a multiple of 32 for GroupNorm(32), got {channels}.'
            )
        self.block_in = nn.Sequential(nn.Conv2d(3, channels, 5, padding=2), nn.LeakyReLU(0.1))
        self.blocks, width = nn.ModuleList(), channels
        for stage in range(num_stages):
            before, width = width, channels * 2**stage
            self.blocks.append(
                nn.Sequential(
                    nn.Conv2d(before, width, 3, padding=1),
                    BlurDownsample(blur),
                    nn.GroupNorm(32, width),
                    nn.LeakyReLU(0.1),
                )
            )
        self.to_logits = nn.Sequential(
            nn.Conv2d(width, width, 1),
            nn.LeakyReLU(0.1),
            nn.Conv2d(width, 1, 5, padding=2),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Map (B, 3, 256, 256) to (B, 1, 32, 32) with three stages, or to (B, 1, pool, pool)."""
        x = self.block_in(image)
        for block in self.blocks:
            x = block(x)
        if self.pool is not None:
            x = F.adaptive_max_pool2d(x, self.pool)
        return self.to_logits(x)
