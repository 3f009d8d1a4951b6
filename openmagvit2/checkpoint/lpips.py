"""Load the LPIPS networks, for the loss and the metric."""

import logging
import warnings

import torch
from mmengine.logging import print_log
from torch import nn

from openmagvit2.checkpoint.unfilled import Unfilled
from openmagvit2.checkpoint.untrusted import read_pickle
from openmagvit2.checkpoint.weights import find_weights, is_published
from openmagvit2.errors import UserError

# The linear weights ship with the package; the ImageNet trunks are torchvision's.
TRUNK_FILES = {'vgg': 'vgg16-397923af.pth', 'alex': 'alexnet-owt-7be5be79.pth'}


def load_lpips(net: str, key: str, weights: str | None = None) -> nn.Module:
    """Load LPIPS, frozen and in eval mode: maps two (B, 3, H, W) in [-1, 1] to (B, 1, 1, 1).

    Weights other than the published ones are used with a warning.

    Args:
        net: 'vgg' or 'alex'.
        key: Config key of ``weights``, for errors.
        weights: File of the trunk; see :func:`find_weights`.

    Raises:
        UserError: The file of the trunk does not exist, or belongs to another network.
    """
    # Imports torchvision's models.
    import lpips

    path = find_weights(TRUNK_FILES[net], "torchvision's ImageNet weights, for LPIPS", key, weights)
    trunk = read_pickle(path)
    if not is_published(path, TRUNK_FILES[net]):
        print_log(
            f'{path} is not the published {TRUNK_FILES[net]}: its distances are not LPIPS.',
            'current',
            logging.WARNING,
        )
    # All weights of the network are loaded, below or by lpips itself.
    with warnings.catch_warnings(), Unfilled():
        # torchvision warns about `pretrained=`, which lpips still passes.
        warnings.simplefilter('ignore')
        network = lpips.LPIPS(net=net, pnet_rand=True, verbose=False)
    with torch.no_grad():
        for name, parameter in network.net.named_parameters():
            source = trunk.get(f'features.{name.split(".", 1)[1]}')
            if source is None or source.shape != parameter.shape:
                raise UserError(
                    f'{path} is not {TRUNK_FILES[net]}: features.{name.split(".", 1)[1]} is '
                    f'missing or misshaped.'
                )
            parameter.copy_(source)
    return network.eval().requires_grad_(False)
