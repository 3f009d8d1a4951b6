"""The part of a tokenizer with one optimizer."""

from collections.abc import Collection
from typing import Any

from torch import Tensor, nn

from openmagvit2.models.decoders.base import run_decoder
from openmagvit2.models.quantizers.base import QuantizerOutput


class AutoEncoder(nn.Module):
    """Image to output and codes, as data parallelism wraps it; a view that is made when asked for.

    Args:
        pixels, encoder, quantizer, decoder: The tokenizer's parts.
        frozen: Names of those that no optimizer and no data parallelism may see.
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
        # In a dict, which is no child.
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
