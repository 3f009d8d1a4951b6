"""Infinity's multi-scale bitwise tokenizers.

See docs/reference/specification.md, VAR.
"""

import re
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from openmagvit2.checkpoint.converters.base import Converter, bit_values
from openmagvit2.checkpoint.converters.rules import Adapt, Link, Lost, Rule
from openmagvit2.checkpoint.converters.taming import CNN
from openmagvit2.registry import CONVERTERS

# In most files, convolutions and norms are one level deeper than ours.
LAYERS = 'conv_in|conv_out|conv1|conv2|nin_shortcut|norm1|norm2|norm_out|(?:down|up)sample\\.conv'
SHORT = re.compile(rf'((?:en|de)coder\.(?:.+\.)?(?:{LAYERS}))\.(weight|bias)')
MASKS = tuple(f'{part}.lfq.mask' for part in ('quantizer', 'quantize'))


@CONVERTERS.register_module()
class Infinity(Converter):
    """Tokenizers only: the transformers need a text encoder."""

    stage = 'tokenizer'
    configs = ('tiny/infinity_32',)
    marks = (*MASKS, 'encoder.conv_in.conv.', 'decoder.conv_in.conv.')
    entries = {'vae': ''}

    def unified(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Add the inner ``.conv`` or ``.norm`` to names, which some files leave out."""
        return {_deeper(name): tensor for name, tensor in state.items()}

    def rules(self, model: nn.Module) -> list[Rule]:
        return [
            Adapt(CNN, _inner),
            Lost(
                dict.fromkeys(MASKS, bit_values(model.quantizer.width)),
                'powers of two that the official code never reads',
                label='masks of bits',
            ),
        ]

    def misfit(self, model: Any) -> str | None:
        """Return a quantizer that is not bitwise and multi-scale."""
        scales, learned = getattr(model.quantizer, 'scales', None), list(model.quantizer.children())
        tensors = any(part.state_dict() for part in learned)
        return None if scales and not tensors else 'another quantizer'


def _inner(link: Link) -> Link:
    return replace(link, official=tuple(map(_deeper, link.official)))


def _deeper(name: str) -> str:
    found = SHORT.fullmatch(name)
    if found is None:
        return name
    return f'{found[1]}.{"norm" if "norm" in found[1].split(".")[-1] else "conv"}.{found[2]}'
