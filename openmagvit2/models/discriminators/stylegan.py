"""StyleGAN's residual discriminator, as in MAGVIT and MaskGIT
(docs/reference/specification.md, Discriminators).
"""

import math
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from openmagvit2.errors import UserError, check_choice
from openmagvit2.models.discriminators.base import KEY, BaseDiscriminator
from openmagvit2.models.layers.blur import BlurDownsample
from openmagvit2.registry import DISCRIMINATORS
from openmagvit2.signatures import Count

DOWNSAMPLERS = {
    'blur': lambda: BlurDownsample(4, persistent=False),
    'avg_pool': lambda: nn.AvgPool2d(2),
}


class StyleGANBlock(nn.Module):
    """Residual block: two 3x3 convolutions with downsampling in between, scaled by 1 / sqrt(2)."""

    def __init__(self, in_channels: int, out_channels: int, downsample: str) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, in_channels, 3, padding=1)
        self.conv2 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.down = DOWNSAMPLERS[downsample]()

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C_in, H, W) to (B, C_out, H/2, W/2)."""
        h = self.down(F.leaky_relu(self.conv1(x), 0.2))
        h = F.leaky_relu(self.conv2(h), 0.2)
        return (h + self.shortcut(self.down(x))) / math.sqrt(2)


@DISCRIMINATORS.register_module()
class StyleGAN(BaseDiscriminator):
    """Discriminator with one logit per image and no norms, for images of a fixed size.

    Args:
        image_size: Side of the square images in pixels, a multiple of 2^(number of blocks).
        channels: Width at full resolution.
        channel_multipliers: Width after each block in units of ``channels``; a block halves the
            sides.
        downsample: 'blur', with a binomial kernel of size 4, or 'avg_pool'.

    Raises:
        UserError: ``image_size`` is not divisible by 2^(number of blocks).
    """

    patches = False

    def __init__(
        self,
        *,
        image_size: Count = 256,
        channels: Count = 64,
        channel_multipliers: Sequence[Count] = (2, 4, 8, 8, 8, 8),
        downsample: str = 'blur',
    ) -> None:
        super().__init__()
        check_choice(f'{KEY}.downsample', downsample, DOWNSAMPLERS)
        side, rest = divmod(image_size, 2 ** len(channel_multipliers))
        if rest:
            least = 2 ** len(channel_multipliers)
            raise UserError(f'{KEY}.image_size must be a multiple of {least}, got {image_size}.')
        self.image_size = image_size
        widths = [channels, *(channels * m for m in channel_multipliers)]
        self.conv_in = nn.Conv2d(3, channels, 3, padding=1)
        self.blocks = nn.ModuleList(
            StyleGANBlock(a, b, downsample) for a, b in zip(widths, widths[1:], strict=False)
        )
        self.conv_out = nn.Conv2d(widths[-1], widths[-1], 3, padding=1)
        self.hidden = nn.Linear(side * side * widths[-1], widths[-1])
        self.logit = nn.Linear(widths[-1], 1)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, image: Tensor) -> Tensor:
        """Map (B, 3, image_size, image_size) to (B, 1, 1, 1).

        Raises:
            UserError: Images have another size.
        """
        if tuple(image.shape[2:]) != (self.image_size, self.image_size):
            raise UserError(
                f'{KEY}.image_size is {self.image_size}, got images of {tuple(image.shape[2:])}.'
            )
        x = F.leaky_relu(self.conv_in(image), 0.2)
        for block in self.blocks:
            x = block(x)
        x = F.leaky_relu(self.conv_out(x), 0.2)
        # Row, column, channel: the order of official weights.
        x = F.leaky_relu(self.hidden(x.permute(0, 2, 3, 1).flatten(1)), 0.2)
        return self.logit(x)[..., None, None]
