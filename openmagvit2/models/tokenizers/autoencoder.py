"""Encoder, quantizer and decoder as one module, trained by one optimizer."""

from collections.abc import Collection
from typing import Any

from torch import Tensor, nn

from openmagvit2.models.decoders.base import run_decoder
from openmagvit2.models.quantizers.base import QuantizerOutput


class AutoEncoder(nn.Module):
    """Map an image to the decoder's output and the codes; the module that data parallelism wraps.

    The tokenizer creates it on access; it is a view of the tokenizer's parts and owns none.

    Args:
        pixels, encoder, quantizer, decoder: The tokenizer's parts.
        frozen: Names of the parts to hide from the optimizer and from data parallelism.
    """

    def __init__(
        self,
        pixels: nn.Module,
        encoder: nn.Module,
        quantizer: nn.Module,
        decoder: nn.Module,
        frozen: Collection[str] = (),
    ) -> None:
        super().__init__()
        parts = dict(encoder=encoder, quantizer=quantizer, decoder=decoder)
        # A plain dict does not register its modules as children.
        self.frozen = dict(pixels=pixels) | {name: parts.pop(name) for name in frozen}
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, image: Tensor) -> tuple[Tensor, QuantizerOutput]:
        """Map (B, 3, *size) in [-1, 1] to the decoder's output (B, pixels.channels, *size), not
        clamped, and the quantizer's output.
        """
        part: dict[str, Any] = dict(self.named_children()) | self.frozen
        out = part['quantizer'](part['encoder'](part['pixels'].to_network(image)))
        return run_decoder(part['decoder'], out.codes, image.shape[2:]), out
