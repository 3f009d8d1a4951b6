"""PatchGAN of pix2pix, the paper's (docs/reference/specification.md, Discriminators)."""

from torch import Tensor, nn

from openmagvit2.models.discriminators.base import BaseDiscriminator
from openmagvit2.registry import DISCRIMINATORS


@DISCRIMINATORS.register_module()
class PatchGAN(BaseDiscriminator):
    """4x4 convolutions with BatchNorm and LeakyReLU; parameter names are the official ones.

    BatchNorm stays local to a process, as in the official runs.

    Args:
        channels: Width of the first stage; stage n has ``channels * min(2^n, 8)``.
        num_layers: Stages of stride 2.
    """

    def __init__(self, *, channels: int = 64, num_layers: int = 3) -> None:
        super().__init__()
        layers: list[nn.Module] = [
            nn.Conv2d(3, channels, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
        ]
        width = channels
        for n in range(1, num_layers + 1):
            previous, width = width, channels * min(2**n, 8)
            stride = 2 if n < num_layers else 1
            layers += [
                nn.Conv2d(previous, width, 4, stride=stride, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.LeakyReLU(0.2),
            ]
        layers.append(nn.Conv2d(width, 1, 4, padding=1))
        self.main = nn.Sequential(*layers)
        self.apply(_init)

    def forward(self, image: Tensor) -> Tensor:
        """Map (B, 3, 256, 256) to (B, 1, 30, 30) with three layers."""
        return self.main(image)


def _init(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
