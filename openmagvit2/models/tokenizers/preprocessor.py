"""Prepare batches of a data set for the models."""

import torch
from mmengine.model import BaseDataPreprocessor

from openmagvit2.dtypes import uniform_to
from openmagvit2.registry import MODELS


@MODELS.register_module()
class ImagePreprocessor(BaseDataPreprocessor):
    """Move a batch to the model's device and map uint8 images to float32 ``v / 127.5 - 1`` in
    [-1, 1] (docs/reference/specification.md, Data).

    Args:
        non_blocking: Copy to the device without waiting for its work on earlier batches; by default
            if CUDA is available.
    """

    def __init__(self, non_blocking: bool | None = None) -> None:
        self.non_blocking = torch.cuda.is_available() if non_blocking is None else non_blocking
        super().__init__(self.non_blocking)

    def forward(self, data: dict, training: bool = False) -> dict:
        """Return the batch on the device, with a uint8 ``image`` (B, 3, H, W) mapped to [-1, 1]."""
        if 'uniform' in data:
            # Python floats are collated to float64, which not every device supports.
            uniform = uniform_to(data['uniform'], self.device, self.non_blocking)
            data = dict(data, uniform=uniform)
        data = self.cast_data(data)
        if 'image' in data and not data['image'].is_floating_point():
            data = dict(data, image=data['image'].float() / 127.5 - 1)
        return data
