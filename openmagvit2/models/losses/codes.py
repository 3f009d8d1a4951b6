"""Cross-entropy of predicted codes with another tokenizer's codes."""

import torch.nn.functional as F
from torch import Tensor

from openmagvit2.models.losses.pixel import ReconstructionLoss
from openmagvit2.registry import LOSSES


@LOSSES.register_module()
class CodeCrossEntropy(ReconstructionLoss):
    """Mean cross-entropy in nats of logits with the codes of an image, for ``CodePixels`` (TiTok's
    first stage).
    """

    def forward(self, out: Tensor, target: Tensor) -> Tensor:
        """Map logits (B, K, *grid) and targets, codes int64 (B, *grid) or distributions (B, K,
        *grid), to a scalar.
        """
        return F.cross_entropy(out, target)
