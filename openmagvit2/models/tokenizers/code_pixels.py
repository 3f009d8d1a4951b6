"""Codes of another tokenizer as targets instead of pixels: TiTok's first stage (Yu et al. 2024)."""

import logging
from collections.abc import Sequence
from typing import Any

import torch
from mmengine.logging import print_log
from torch import Tensor

from openmagvit2.checkpoint import load_tokenizer_weights
from openmagvit2.errors import about
from openmagvit2.models.tokenizers.frozen import frozen_tokenizer
from openmagvit2.models.tokenizers.pixels import Pixels
from openmagvit2.registry import MODELS, Slot


@MODELS.register_module()
class CodePixels(Pixels):
    """Let the decoder predict logits of another tokenizer's codes; argmax codes give the image.

    Args:
        tokenizer: Config of the other tokenizer, which must have a single codebook; its
            ``checkpoint`` key names the weights. It is frozen and saved in this model's
            checkpoints.
        range: Values of black and white for the encoder of this model.
    """

    slots = dict(tokenizer=Slot(MODELS, beside=dict(checkpoint=None, seed=None)))

    def __init__(self, *, tokenizer: dict, range: Sequence[float] = (-1.0, 1.0)) -> None:
        super().__init__(range=range)
        self.tokenizer, self.checkpoint = frozen_tokenizer(tokenizer)
        self.channels = self.tokenizer.quantizer.codebook_size

    def train(self, mode: bool = True) -> 'CodePixels':
        """Set the mode; keep the other tokenizer in eval mode."""
        super().train(mode)
        self.tokenizer.eval()
        return self

    def load_weights(self) -> None:
        """Load the other tokenizer's weights; called before the first image is read.

        Raises:
            UserError: The other tokenizer's checkpoint is missing or does not fit.
        """
        if self.checkpoint is None:
            text = 'model.pixels.tokenizer has no checkpoint: its codes are those of random weights'
            print_log(text, 'current', logging.WARNING)
            return
        with about('model.pixels.tokenizer.checkpoint'):
            load_tokenizer_weights(self.tokenizer, self.checkpoint)

    @torch.no_grad()
    def target(self, image: Tensor) -> Tensor:
        """Map images in [-1, 1] to the other tokenizer's codes, int64 (B, h, w)."""
        return self.tokenizer.encode(image).indices

    def to_image(self, out: Tensor) -> Tensor:
        """Decode the argmax codes of logits (B, ``channels``, h, w)."""
        tokenizer: Any = self.tokenizer
        return tokenizer.decode(tokenizer.quantizer.indices_to_codes(out.argmax(1)))
