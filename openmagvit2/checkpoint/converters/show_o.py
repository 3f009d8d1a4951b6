"""Show-o's tokenizer, one file with taming's networks around lookup-free codes.

See docs/reference/specification.md, Show-o and Cosmos.
"""

import torch
from torch import Tensor, nn

from openmagvit2.checkpoint.converters.base import Converter, OfficialFile, bit_values
from openmagvit2.checkpoint.converters.ibq import CNN
from openmagvit2.checkpoint.converters.rules import UNKEPT, Derived, Rename, Rule, squeeze
from openmagvit2.checkpoint.stages import is_generator
from openmagvit2.registry import CONVERTERS

PROJECTIONS = (
    squeeze('quantizer.project_in.weight', 'encoder.quant_conv.weight'),
    Rename('quantizer.project_in.bias', 'encoder.quant_conv.bias'),
    squeeze('quantizer.project_out.weight', 'decoder.post_quant_conv.weight'),
    Rename('quantizer.project_out.bias', 'decoder.post_quant_conv.bias'),
)


@CONVERTERS.register_module()
class ShowO(Converter):
    """A tokenizer without averages and discriminator, and with a table of its signs."""

    files = (
        OfficialFile(
            'pytorch_model.safetensors', 'showlab/magvitv2', 'configs/show_o/lfq_256.py', (13,)
        ),
    )
    configs = ('tiny/show_o_32',)
    marks = ('encoder.quant_conv.', 'decoder.post_quant_conv.', 'quantize.power_vals')

    def rules(self, model: nn.Module) -> list[Rule]:
        return [*PROJECTIONS, *CNN, *_table(model), *UNKEPT]

    def misfit(self, model: nn.Module) -> str | None:
        """Return a part of a generator, or another order of bits."""
        if is_generator(model):
            return 'generator'
        order = getattr(model.quantizer, 'bit_order', None)
        return None if order == 'msb' else f'model.quantizer.bit_order={order!r}'

    def layout(self, state: dict[str, Tensor]) -> tuple | None:
        """Return the number of bits."""
        bias = state.get('encoder.quant_conv.bias')
        return (bias.numel(),) if isinstance(bias, Tensor) else None


def _table(model: nn.Module) -> list[Rule]:
    """Return the signs of all codes and the values of the bits, the first of which is the
    highest.
    """
    bits = getattr(getattr(model, 'quantizer', None), 'num_bits', 0)
    if not 0 < bits <= 20:
        return []
    powers = bit_values(bits)
    signs = (torch.arange(2**bits, device='cpu')[:, None] & powers).ne(0) * 2.0 - 1
    return [
        Derived({'quantize.embedding': signs}, 'table of signs'),
        Derived({'quantize.power_vals': powers}, 'values of bits'),
    ]
