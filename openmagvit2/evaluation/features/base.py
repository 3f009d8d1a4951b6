"""Contract of the feature slot."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn


class FeatureExtractor(nn.Module, ABC):
    """``extractor(images uint8 (B, 3, H, W)) -> {'features': float32 (B, dim)}``, and 'logits' (B, classes) where it classifies.

    The constructor touches no file; :meth:`load_weights` does, once, before the first image.

    Attributes:
        name: Results carry it: ``fd_<name>``; 'fid_inception' alone may call its distance FID.
        dim: Length of a feature.
        weights_info: After loading: file and hash, for the record.
    """

    name: str
    dim: int

    def __init__(self) -> None:
        super().__init__()
        self.weights_info: dict[str, str | bool] = {}
        self.loaded = False

    @property
    def distance_name(self) -> str:
        """What a Fréchet distance over these features is called."""
        return self.name if self.name.startswith('fid_') else f'fd_{self.name}'

    def prepare(self, device: torch.device | str) -> 'FeatureExtractor':
        """Load the weights where that has not been done, and move to a device.

        Raises:
            ValueError: Their file is not found.
        """
        if not self.loaded:
            self.load_weights()
            self.loaded = True
            self.eval().requires_grad_(False)
        return self.to(device)

    @abstractmethod
    def load_weights(self) -> None:
        """Read the weights; fills ``weights_info``."""

    @abstractmethod
    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Images uint8 (B, 3, H, W) of any size to features."""
