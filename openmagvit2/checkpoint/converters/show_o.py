"""Show-o's tokenizer.

See docs/reference/specification.md, Show-o and Cosmos.
"""

import torch
from torch import nn

from openmagvit2.checkpoint.converters.base import Converter, bit_values
from openmagvit2.checkpoint.converters.rules import Derived, Rename, Rule, squeeze
from openmagvit2.checkpoint.converters.taming import CNN
from openmagvit2.registry import CONVERTERS

PROJECTIONS = (
    squeeze('quantizer.project_in.weight', 'encoder.quant_conv.weight'),
    Rename('quantizer.project_in.bias', 'encoder.quant_conv.bias'),
    squeeze('quantizer.project_out.weight', 'decoder.post_quant_conv.weight'),
    Rename('quantizer.project_out.bias', 'decoder.post_quant_conv.bias'),
)


@CONVERTERS.register_module()
class ShowO(Converter):
    """The tokenizer: taming's networks with LFQ, and a table of all codes."""

    stage = 'tokenizer'
    configs = ('tiny/show_o_32',)
    marks = ('encoder.quant_conv.', 'decoder.post_quant_conv.', 'quantize.power_vals')

    def rules(self, model: nn.Module) -> list[Rule]:
        return [*PROJECTIONS, *CNN, *_table(model)]

    def misfit(self, model: nn.Module) -> str | None:
        """Return a quantizer that is not LFQ, or that orders bits otherwise."""
        order = getattr(model.quantizer, 'bit_order', None)
        return None if order == 'msb' else f'model.quantizer.bit_order={order!r}'


def _table(model: nn.Module) -> list[Rule]:
    """Return the rules for the table of all codes and the values of bits, the highest first."""
    bits = model.quantizer.num_bits
    if bits > 20:
        return []
    powers = bit_values(bits)
    signs = (torch.arange(2**bits, device='cpu')[:, None] & powers).ne(0) * 2.0 - 1
    return [
        Derived({'quantize.embedding': signs}, 'table of signs'),
        Derived({'quantize.power_vals': powers}, 'values of bits'),
    ]
