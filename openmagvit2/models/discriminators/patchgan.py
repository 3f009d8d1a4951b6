"""pix2pix's PatchGAN, which the paper uses (docs/reference/specification.md, Discriminators)."""

from typing import Annotated

import torch
from torch import Tensor, nn

from openmagvit2.errors import UserError
from openmagvit2.models.discriminators.base import KEY, BaseDiscriminator
from openmagvit2.registry import DISCRIMINATORS
from openmagvit2.signatures import Count, Kind


@DISCRIMINATORS.register_module()
class PatchGAN(BaseDiscriminator):
    """PatchGAN of 4x4 convolutions with BatchNorm and LeakyReLU; parameter names are the official
    ones.

    BatchNorm is not synchronized over processes, as in the official runs.

    Args:
        channels: Width of the first stage; stage n has ``channels * min(2^n, 8)``.
        num_layers: Number of stages of stride 2.
        padding: Zero padding of each stage's input.
        bias: Whether all convolutions have biases, not only the first and the last.
        noise: Whether to add noise to the input: one normal map per image, times a learned factor
            per color that starts at 0. In evaluation, all images share a map from a fixed seed.
    """

    def __init__(
        self,
        *,
        channels: Count = 64,
        num_layers: int = 3,
        padding: Annotated[int, Kind('an integer from 0 to 3', lambda x: 0 <= x <= 3)] = 1,
        bias: bool = False,
        noise: bool = False,
    ) -> None:
        super().__init__()
        self.padding = padding
        first = nn.Conv2d(3, channels, 4, stride=2, padding=padding)
        layers: list[nn.Module] = [first, nn.LeakyReLU(0.2)]
        width = channels
        for n in range(1, num_layers + 1):
            previous, width = width, channels * min(2**n, 8)
            stride = 2 if n < num_layers else 1
            layers += [
                nn.Conv2d(previous, width, 4, stride=stride, padding=padding, bias=bias),
                nn.BatchNorm2d(width),
                nn.LeakyReLU(0.2),
            ]
        layers.append(nn.Conv2d(width, 1, 4, padding=padding))
        self.main = nn.Sequential(*layers)
        self.noise = nn.Parameter(torch.zeros(3)) if noise else None
        self.apply(_init)

    def forward(self, image: Tensor) -> Tensor:
        """Map (B, 3, 256, 256) to (B, 1, 30, 30) with three layers.

        Raises:
            UserError: The image is too small for so many stages.
        """
        self._check_size(min(image.shape[2:]))
        return self.main(self._noisy(image))

    def features(self, image: Tensor) -> list[Tensor]:
        """Return the outputs (B, C, h', w') of all stages but the last, which computes logits."""
        x, found = self._noisy(image), []
        for layer in self.main[:-1]:
            x = layer(x)
            if isinstance(layer, nn.LeakyReLU):
                found.append(x)
        return found

    def _check_size(self, side: int) -> None:
        left = side
        for layer in self.main:
            if isinstance(layer, nn.Conv2d):
                left = (left + 2 * self.padding - 4) // layer.stride[0] + 1
            if left < 1:
                raise UserError(
                    f'{KEY}: images of {side} pixels are too small for so many stages; use a '
                    f'smaller num_layers, or a larger padding.'
                )

    def _noisy(self, image: Tensor) -> Tensor:
        if self.noise is None:
            return image
        if self.training:
            drawn = torch.randn_like(image[:, :1])
        else:
            generator = torch.Generator().manual_seed(0)
            drawn = torch.randn(1, *image.shape[2:], generator=generator).to(image)[None]
        return image + self.noise[:, None, None] * drawn


def _init(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
