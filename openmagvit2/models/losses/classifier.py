"""Perceptual loss on the outputs of an ImageNet classifier (TiTok, MaskGIT)."""

import logging

import torch
import torch.nn.functional as F
from mmengine.logging import print_log
from torch import Tensor, nn

from openmagvit2.checkpoint.untrusted import read_pickle
from openmagvit2.checkpoint.weights import find_weights, is_published
from openmagvit2.errors import UserError, check_choice
from openmagvit2.registry import LOSSES

# torchvision's files of ImageNet-1k weights, V1.
FILES = {
    'convnext_small': 'convnext_small-0c510722.pth',
    'resnet50': 'resnet50-0676ba61.pth',
}
SIZE, MEAN, STD = 224, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@LOSSES.register_module()
class ClassifierLoss(nn.Module):
    """Mean squared difference of a classifier's outputs for image and reconstruction, both resized
    to 224 pixels (bilinear, antialiased). The classifier is frozen, in eval mode, and not part of
    the state dict.

    Args:
        model: A torchvision classifier, a name in ``FILES``.
        weights: File of its weights, read when training starts. By default ``FILES[model]`` in
            ``$OPENMAGVIT2_WEIGHTS``, then in torch hub's cache.
        of: 'logits', or 'features', the input of the final linear layer ('resnet50' only).

    Raises:
        UserError: The model does not have this output.
    """

    def __init__(
        self,
        *,
        model: str = 'convnext_small',
        weights: str | None = None,
        of: str = 'logits',
    ) -> None:
        super().__init__()
        check_choice('ClassifierLoss.of', of, ('logits', 'features'))
        check_choice('ClassifierLoss.model', model, FILES)
        if of == 'features' and model != 'resnet50':
            raise UserError("ClassifierLoss.of='features' needs model='resnet50'.")
        self.model, self.weights, self.of = model, weights, of
        # In a tuple, so that it is not a child module (state dict, DDP) and not trained.
        self._network: tuple[nn.Module, ...] = ()

    def load_weights(self) -> None:
        """Build the network and load its weights.

        Raises:
            UserError: The file is not found, or belongs to another network.
        """
        # Imported here, as it takes seconds, which listing the slot should not.
        import torchvision

        name, key = FILES[self.model], 'the `weights` of ClassifierLoss'
        path = find_weights(name, "torchvision's ImageNet weights, for a loss", key, self.weights)
        if not is_published(path, name):
            text = f'{path} is not the published {name}.'
            print_log(text, 'current', logging.WARNING)
        network = torchvision.models.get_model(self.model, weights=None)
        try:
            network.load_state_dict(read_pickle(path))
        except RuntimeError as error:
            raise UserError(f'{path} is not {name}: {error}') from error
        if self.of == 'features':
            network.fc = nn.Identity()
        self.use(network)

    def use(self, network: nn.Module) -> None:
        """Use an existing network that maps normalized images (B, 3, 224, 224) to (B, K)."""
        self._network = (network.eval().requires_grad_(False),)

    def forward(self, reconstruction: Tensor, image: Tensor) -> Tensor:
        """Map two images (B, 3, H, W) in [-1, 1] to a scalar."""
        if not self._network:
            self.load_weights()
        network = self._network[0].to(image.device)
        with torch.no_grad():
            target = network(self._input(image))
        return F.mse_loss(network(self._input(reconstruction)), target)

    @staticmethod
    def _input(image: Tensor) -> Tensor:
        x = F.interpolate((image + 1) / 2, (SIZE, SIZE), mode='bilinear', antialias=True)
        mean, std = (x.new_tensor(v).view(1, 3, 1, 1) for v in (MEAN, STD))
        return (x - mean) / std
