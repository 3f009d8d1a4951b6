"""Cross-entropy of predicted codes with another tokenizer's codes."""

import torch.nn.functional as F
from torch import Tensor

from openmagvit2.errors import UserError
from openmagvit2.models.layers.arguments import written
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

        Raises:
            UserError: Their grids differ.
        """
        if out.shape[2:] != target.shape[-len(out.shape[2:]) :]:
            raise UserError(
                f'model.decoder outputs {written(out.shape[2:])} codes per image, but '
                f'model.pixels.tokenizer has {written(target.shape[-len(out.shape[2:]) :])}; '
                f'change the patch_size of the decoder to match.'
            )
        return F.cross_entropy(out, target)
