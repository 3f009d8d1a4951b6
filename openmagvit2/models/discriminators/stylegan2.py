"""StyleGAN2's discriminator (Karras et al. 2020), as used by ViT-VQGAN."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from openmagvit2.errors import UserError
from openmagvit2.models.discriminators.base import KEY, BaseDiscriminator
from openmagvit2.models.layers.arguments import written
from openmagvit2.registry import DISCRIMINATORS
from openmagvit2.signatures import Count

# Channels for each side of the feature map.
WIDTHS = {4: 512, 8: 512, 16: 512, 32: 512, 64: 512, 128: 256, 256: 128, 512: 64, 1024: 32}
# Group size of the minibatch standard deviation.
GROUP = 4


class EqualConv(nn.Module):
    """Convolution with equalized learning rate (Karras et al. 2018), or a linear layer for
    ``kernel=None``.

    Weights are N(0, 1) and divided by the root of their fan-in at use.

    Args:
        blur: Zero padding in pixels before a blur with the kernel (1, 3, 3, 1); None for no blur.
        act: Whether to apply ``sqrt(2) leaky_relu`` to the output.
        bias: Whether to add a bias.
    """

    kernel: Tensor

    def __init__(
        self,
        a: int,
        b: int,
        kernel: int | None,
        *,
        stride: int = 1,
        padding: int = 0,
        blur: int | None = None,
        act: bool = True,
        bias: bool = True,
    ) -> None:
        super().__init__()
        shape = (b, a) if kernel is None else (b, a, kernel, kernel)
        self.weight = nn.Parameter(torch.randn(shape))
        self.bias = nn.Parameter(torch.zeros(b)) if bias else None
        self.scale = (self.weight.numel() / b) ** -0.5
        self.stride, self.padding, self.blur, self.act = stride, padding, blur, act
        if blur is not None:
            row = torch.tensor([1.0, 3.0, 3.0, 1.0])
            self.register_buffer('kernel', torch.outer(row, row) / 64, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, a, H, W) or (B, a) to (B, b, …)."""
        if self.blur is not None:
            kernel = self.kernel.to(x.dtype).expand(x.shape[1], 1, -1, -1)
            x = F.conv2d(F.pad(x, [self.blur] * 4), kernel, groups=x.shape[1])
        weight = self.weight * self.scale
        if weight.dim() == 2:
            x = F.linear(x, weight, self.bias)
        else:
            x = F.conv2d(x, weight, self.bias, self.stride, self.padding)
        return F.leaky_relu(x, 0.2) * 2**0.5 if self.act else x


class ResidualBlock(nn.Module):
    """Residual block of two convolutions and a blurred skip connection; halves the size."""

    def __init__(self, a: int, b: int) -> None:
        super().__init__()
        self.conv1 = EqualConv(a, a, 3, padding=1)
        self.conv2 = EqualConv(a, b, 3, stride=2, blur=2)
        self.skip = EqualConv(a, b, 1, stride=2, blur=1, act=False, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, a, H, W) to (B, b, H / 2, W / 2)."""
        return (self.conv2(self.conv1(x)) + self.skip(x)) / 2**0.5


@DISCRIMINATORS.register_module()
class StyleGAN2(BaseDiscriminator):
    """Residual blocks down to 4x4, a channel of the minibatch standard deviation, and one logit per
    image, (B, 1, 1, 1).

    A logit depends on the other images of its group, and so on how the batch is split.

    Args:
        image_size: Side of the images, a power of two from 8.
        widths: Channels from the largest feature map to 4x4; StyleGAN2's by default.

    Raises:
        UserError: ``image_size`` is not a power of two from 8, or ``widths`` has the wrong length.
    """

    patches = False

    def __init__(self, *, image_size: Count = 256, widths: Sequence[Count] | None = None) -> None:
        super().__init__()
        steps = image_size.bit_length() - 3
        if image_size < 8 or image_size & (image_size - 1):
            raise UserError(f'{KEY}.image_size must be a power of two ≥ 8, got {image_size}.')
        if widths is None:
            widths = [WIDTHS[image_size >> i] for i in range(steps + 1)]
        if len(widths) != steps + 1:
            raise UserError(
                f'{KEY}.widths must have {steps + 1} entries for images of {image_size} pixels, '
                f'got {len(widths)}.'
            )
        last = widths[-1]
        self.image_size = image_size
        self.stem = EqualConv(3, widths[0], 1)
        self.blocks = nn.Sequential(
            *(ResidualBlock(a, b) for a, b in zip(widths, widths[1:], strict=False))
        )
        self.final = EqualConv(last + 1, last, 3, padding=1)
        self.dense = EqualConv(16 * last, last, None)
        self.out = EqualConv(last, 1, None, act=False)

    def forward(self, image: Tensor) -> Tensor:
        """Map (B, 3, image_size, image_size) to (B, 1, 1, 1).

        Raises:
            UserError: Images have another size.
        """
        if image.shape[2:] != (self.image_size, self.image_size):
            raise UserError(
                f'The discriminator expects images of {self.image_size}x{self.image_size}, got '
                f'{written(image.shape[2:])}; set its image_size.'
            )
        x = with_deviation(self.blocks(self.stem(image)))
        return self.out(self.dense(self.final(x).flatten(1)))[..., None, None]


def with_deviation(x: Tensor) -> Tensor:
    """Append the minibatch standard deviation as a channel: (B, C, H, W) to (B, C + 1, H, W).

    Image n belongs to group n mod (B / g), where the group size g is 4, or as the batch allows.
    """
    batch = len(x)
    size = min(batch, GROUP)
    size = batch // (batch // size)
    groups = x.view(size, -1, *x.shape[1:])
    deviation = (groups.var(0, correction=0) + 1e-8).sqrt().mean((1, 2, 3))
    return torch.cat([x, deviation.repeat(size).view(-1, 1, 1, 1).expand(-1, 1, *x.shape[2:])], 1)
