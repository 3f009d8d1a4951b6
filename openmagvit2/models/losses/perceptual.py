"""Perceptual loss: LPIPS on VGG16 features with the ``lpips`` package
(docs/reference/specification.md, Losses).
"""

from torch import Tensor, nn

from openmagvit2.checkpoint.lpips import TRUNK_FILES, load_lpips
from openmagvit2.errors import check_choice
from openmagvit2.registry import LOSSES

# Its usual key in a config, for messages.
KEY = 'model.training.losses.perceptual'


@LOSSES.register_module()
class LPIPSLoss(nn.Module):
    """Mean LPIPS distance. The network is frozen, in eval mode, and not part of the state dict.

    The linear weights ship with ``lpips``; :meth:`load_weights` reads the ImageNet trunk when
    training starts, so building the model reads no file.

    Args:
        net: 'vgg' (the paper's) or 'alex'.
        weights: File of torchvision's trunk. By default ``TRUNK_FILES[net]`` in
            ``$OPENMAGVIT2_WEIGHTS``, then in torch hub's cache.
        scale: Factor of both images, to match systems that use LPIPS on another range than [-1, 1].
    """

    def __init__(self, *, net: str = 'vgg', weights: str | None = None, scale: float = 1.0) -> None:
        super().__init__()
        check_choice(f'{KEY}.net', net, TRUNK_FILES)
        self.net = net
        self.weights, self.scale = weights, scale
        # In a tuple, so that it is not a child module (state dict, DDP) and not trained.
        self._network: tuple[nn.Module, ...] = ()

    def load_weights(self) -> None:
        """Build the network and load the trunk's weights.

        Raises:
            UserError: The trunk's file is not found; the message says which file to put where.
        """
        key = f'{KEY}.weights, or set {KEY}=None'
        self._network = (load_lpips(self.net, key, self.weights),)

    def forward(self, reconstruction: Tensor, image: Tensor) -> Tensor:
        """Map two images (B, 3, H, W) in [-1, 1] to a scalar."""
        if not self._network:
            self.load_weights()
        network = self._network[0].to(image.device)
        if self.scale != 1:
            image, reconstruction = image * self.scale, reconstruction * self.scale
        return network(image, reconstruction).mean()
