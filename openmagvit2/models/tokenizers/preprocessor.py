"""From the batches of a data set to what the models read."""

from mmengine.model import BaseDataPreprocessor

from openmagvit2.dtypes import uniform_to
from openmagvit2.registry import MODELS


@MODELS.register_module()
class ImagePreprocessor(BaseDataPreprocessor):
    """Moves a batch to the model's device and maps uint8 images to float32 ``v / 127.5 - 1`` in
    [-1, 1] (docs/reference/specification.md, Data).
    """

    def forward(self, data: dict, training: bool = False) -> dict:
        """Map a dict with ``image`` uint8 (B, 3, H, W) and other tensors, to the same dict on the
        device.
        """
        if 'uniform' in data:
            # Python's floats are collated to float64, which not every device has.
            data = dict(data, uniform=uniform_to(data['uniform'], self.device))
        data = self.cast_data(data)
        if 'image' in data and not data['image'].is_floating_point():
            data = dict(data, image=data['image'].float() / 127.5 - 1)
        return data
