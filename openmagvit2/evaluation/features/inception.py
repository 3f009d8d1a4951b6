"""The Inception network of FID (2015-12-05), by torch-fidelity."""

import logging

import torch.nn.functional as F
from mmengine.logging import print_log
from torch import Tensor

from openmagvit2.checkpoint.hashing import file_hash
from openmagvit2.checkpoint.untrusted import read_pickle
from openmagvit2.checkpoint.weights import find_weights, is_published
from openmagvit2.evaluation.features.base import FeatureExtractor
from openmagvit2.registry import FEATURES

FILE = 'weights-inception-2015-12-05-6726825d.pth'
# torch-fidelity's names of the layers, in order.
PARTS = (
    'Conv2d_1a_3x3 Conv2d_2a_3x3 Conv2d_2b_3x3 MaxPool_1 Conv2d_3b_1x1 Conv2d_4a_3x3 MaxPool_2 '
    'Mixed_5b Mixed_5c Mixed_5d '
    'Mixed_6a Mixed_6b Mixed_6c Mixed_6d Mixed_6e Mixed_7a Mixed_7b Mixed_7c AvgPool'
).split()


@FEATURES.register_module()
class FIDInception(FeatureExtractor):
    """2048 features of the last pooling, 1008 logits without bias, at 299 pixels (TensorFlow 1).

    :meth:`unrounded` preprocesses like pytorch-fid: torch's resize, on floats
    (docs/reference/specification.md, Reconstruction metrics).

    Args:
        weights: File of the weights that torch-fidelity publishes; by default as
            :func:`find_weights` finds it.
    """

    name = 'fid_inception'
    dim = 2048
    layer = 'pool3 (2048), logits without bias'
    preprocessing = 'bilinear to 299 as TensorFlow 1'
    unrounded_preprocessing = 'bilinear to 299 as pytorch-fid'

    def __init__(self, *, weights: str | None = None) -> None:
        super().__init__()
        self.weights = weights

    def load_weights(self) -> None:
        """Load the weights; log a warning if the file is not the published one.

        Raises:
            UserError: The file is not found.
        """
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        path = find_weights(
            FILE,
            'the FID Inception network of torch-fidelity',
            'the `weights` of FIDInception',
            self.weights,
        )
        # torch-fidelity reads the file again itself; this rejects files that would run code.
        read_pickle(path)
        self.network = FeatureExtractorInceptionV3(
            'inception-v3-compat', ['2048', 'logits_unbiased'], str(path)
        )
        self.weights_info = dict(
            file=str(path), sha256=file_hash(path), published=is_published(path, FILE)
        )
        if not self.weights_info['published']:
            print_log(
                f'{path} is not the published {FILE}: its values are not FID.',
                'current',
                logging.WARNING,
            )

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Map uint8 (B, 3, H, W) to features (B, 2048) and logits (B, 1008)."""
        features, logits = self.network(images)
        return dict(features=features, logits=logits)

    def unrounded(self, images: Tensor) -> Tensor:
        """Map images in [0, 1], float (B, 3, H, W), to features (B, 2048)."""
        x = F.interpolate(images.float(), (299, 299), mode='bilinear', align_corners=False) * 2 - 1
        for part in PARTS:
            x = getattr(self.network, part)(x)
        return x.flatten(1)
