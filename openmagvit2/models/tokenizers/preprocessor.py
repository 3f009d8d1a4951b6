"""From the batches of a data set to what the models read."""

import torch
from mmengine.model import BaseDataPreprocessor

from openmagvit2.dtypes import uniform_to
from openmagvit2.registry import MODELS


@MODELS.register_module()
class ImagePreprocessor(BaseDataPreprocessor):
    """Moves a batch to the model's device and maps uint8 images to float32 ``v / 127.5 - 1`` in
    [-1, 1] (docs/reference/specification.md, Data).

    Args:
        non_blocking: Copy without waiting for the device, which is still at work on the batch
            before; on by default where there is CUDA.
    """

    def __init__(self, non_blocking: bool | None = None) -> None:
        self.non_blocking = torch.cuda.is_available() if non_blocking is None else non_blocking
        super().__init__(self.non_blocking)

    def forward(self, data: dict, training: bool = False) -> dict:
        """Map a dict with ``image`` uint8 (B, 3, H, W) and other tensors, to the same dict on the
        device.
        """
        if 'uniform' in data:
            # Python's floats are collated to float64, which not every device has.
            uniform = uniform_to(data['uniform'], self.device, self.non_blocking)
            data = dict(data, uniform=uniform)
        data = self.cast_data(data)
        if 'image' in data and not data['image'].is_floating_point():
            data = dict(data, image=data['image'].float() / 127.5 - 1)
        return data
