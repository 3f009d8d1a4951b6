"""The contract of the feature slot."""

import json
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from openmagvit2.checkpoint.hashing import digest
from openmagvit2.errors import UserError


def check_finite(values: Tensor, what: str) -> Tensor:
    """Return values if all are finite: a comparison with NaN would give 0, like a valid result.

    Args:
        values: A tensor of any shape.
        what: Plural description for the error, such as 'Features of the generated set'.

    Raises:
        UserError: Some values are NaN or infinite.
    """
    if not values.isfinite().all():
        raise UserError(
            f'{what} are not finite (NaN or infinite), so no metric can be computed; check the '
            f"network's weights and the images."
        )
    return values


class FeatureExtractor(nn.Module, ABC):
    """Map images uint8 (B, 3, H, W) to ``{'features': float32 (B, dim)}``; classifiers add
    ``'logits'`` (B, classes).

    The constructor touches no file; :meth:`load_weights` does, once, before the first image.

    Attributes:
        name: The distance is called ``fd_<name>``; only that of 'fid_inception' is called FID.
        dim: Length of a feature.
        layer: Layer of the network whose output is the features.
        preprocessing: Preprocessing of an image before the network.
        unrounded_preprocessing: Preprocessing of :meth:`unrounded`, if it differs.
        weights_info: After loading: file and hash, for the record.
        device: Device that :meth:`prepare` has moved the network to.
    """

    name: str
    dim: int
    layer: str = ''
    preprocessing: str = ''
    unrounded_preprocessing: str = ''

    def __init__(self) -> None:
        super().__init__()
        self.weights_info: dict[str, str | bool] = {}
        self.loaded, self.device = False, torch.device('cpu')

    @property
    def distance_name(self) -> str:
        """Name of a Fréchet distance over these features."""
        return self.name if self.name.startswith('fid_') else f'fd_{self.name}'

    def describe(self, unrounded: bool = False) -> dict[str, str | int | bool]:
        """Describe network, layer, preprocessing and, after :meth:`load_weights`, weights."""
        preprocessing = unrounded and self.unrounded_preprocessing or self.preprocessing
        parts = dict(name=self.name, layer=self.layer, preprocessing=preprocessing, dim=self.dim)
        return {key: value for key, value in parts.items() if value} | self.weights_info

    def key(self) -> str:
        """Return a hash of network, layer, preprocessing and weights, independent of file paths."""
        parts = self.describe()
        if 'sha256' in parts:
            parts.pop('file', None)
        return digest([json.dumps(parts, sort_keys=True).encode()])

    def prepare(self, device: torch.device | str | None = None) -> 'FeatureExtractor':
        """Load the weights if that has not been done, and move to a device if one is given.

        Raises:
            UserError: The file of the weights is not found.
        """
        if not self.loaded:
            self.load_weights()
            self.loaded = True
            self.eval().requires_grad_(False)
        self.device = torch.device(device or self.device)
        return self.to(self.device)

    @torch.no_grad()
    def outputs(self, images: Tensor, what: str) -> dict[str, Tensor]:
        """Return :meth:`forward` of images, computed on their device, after a check.

        Args:
            images: uint8 (B, 3, H, W).
            what: Description of the images for the error, such as 'images of samples.npz'.

        Raises:
            UserError: The network returns NaN or infinite values.
        """
        outputs = self.prepare(images.device)(images)
        for kind, values in outputs.items():
            check_finite(values, f'{kind.capitalize()} of {self.name} for {what}')
        return outputs

    @abstractmethod
    def load_weights(self) -> None:
        """Read the weights and set ``weights_info``."""

    @abstractmethod
    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Map images uint8 (B, 3, H, W) of any size to features."""

    def unrounded(self, images: Tensor) -> Tensor:
        """Map float images (B, 3, H, W) in [0, 1], not rounded to 8 bits, to features (B, dim).

        Raises:
            UserError: The network accepts only images of 8 bits.
        """
        raise UserError(
            f'{type(self).__name__} accepts only images of 8 bits: use protocol="corrected".'
        )
