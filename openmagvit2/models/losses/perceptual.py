"""Perceptual loss: LPIPS on VGG16 features (spec §3.3), by the ``lpips`` package."""

import os
import warnings
from pathlib import Path

import lpips
import torch
from torch import Tensor, nn

from openmagvit2.registry import LOSSES

TRUNK_FILES = {'vgg': 'vgg16-397923af.pth', 'alex': 'alexnet-owt-7be5be79.pth'}


@LOSSES.register_module()
class LPIPSLoss(nn.Module):
    """Mean LPIPS distance; frozen, in eval mode, and not part of the state dict.

    The linear weights ship with ``lpips``; the ImageNet trunk is read by :meth:`load_weights` when a training starts, so that building the
    model touches no file.

    Args:
        net: 'vgg' (the paper's) or 'alex'.
        weights: File of torchvision's trunk. By default ``TRUNK_FILES[net]`` in ``$OPENMAGVIT2_WEIGHTS``, then in torch hub's cache.
    """

    def __init__(self, *, net: str = 'vgg', weights: str | None = None) -> None:
        super().__init__()
        if net not in TRUNK_FILES:
            raise ValueError(f"model.perceptual_loss.net must be 'vgg' or 'alex', got {net!r}.")
        self.net = net
        self.weights = weights
        # In a tuple, so that it is neither a child (state dict, DDP) nor trained.
        self._network: tuple[nn.Module, ...] = ()

    def load_weights(self) -> None:
        """Build the network and read the trunk.

        Raises:
            ValueError: The trunk's file is not found; the text says which file to put where.
        """
        trunk = torch.load(self._find(), map_location='cpu', weights_only=True)
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # torchvision's deprecation of `pretrained=`, which lpips still passes
            network = lpips.LPIPS(net=self.net, pnet_rand=True, verbose=False)
        with torch.no_grad():
            for name, parameter in network.net.named_parameters():
                parameter.copy_(trunk[f'features.{name.split(".", 1)[1]}'])
        self._network = (network.eval().requires_grad_(False),)

    def _find(self) -> Path:
        name = TRUNK_FILES[self.net]
        places = [Path(self.weights)] if self.weights else []
        if not places:
            if 'OPENMAGVIT2_WEIGHTS' in os.environ:
                places.append(Path(os.environ['OPENMAGVIT2_WEIGHTS']) / name)
            places.append(Path(torch.hub.get_dir()) / 'checkpoints' / name)
        for place in places:
            if place.is_file():
                return place
        raise ValueError(
            f'The perceptual loss needs {name}, the ImageNet weights of torchvision; looked at {", ".join(map(str, places))}. Put the '
            'file there, name it in model.perceptual_loss.weights, or train without: model.perceptual_loss=None.'
        )

    def forward(self, reconstruction: Tensor, image: Tensor) -> Tensor:
        """Two (B, 3, H, W) in [-1, 1] to a scalar."""
        if not self._network:
            self.load_weights()
        network = self._network[0].to(image.device)
        return network(image, reconstruction).mean()
