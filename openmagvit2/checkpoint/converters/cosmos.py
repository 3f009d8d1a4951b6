"""Cosmos' discrete image tokenizers: TorchScript archives of encoder, decoder or both.

See docs/reference/specification.md, Show-o and Cosmos.
"""

import math
from dataclasses import replace

import torch
from torch import nn

from openmagvit2.checkpoint.converters.base import Converter, other_class
from openmagvit2.checkpoint.converters.rules import Adapt, Derived, Link, Rule
from openmagvit2.checkpoint.converters.taming import NETWORKS
from openmagvit2.registry import CONVERTERS


def _float32(link: Link) -> Link:
    """Return a link that converts official tensors, which may be in half precision, to float32."""
    return replace(link, to_ours=lambda tensors: [x.float() for x in link.to_ours(tensors)])


@CONVERTERS.register_module()
class Cosmos(Converter):
    """Tokenizers with FSQ; the names on the way back are those of the official class."""

    stage = 'tokenizer'
    configs = ('tiny/cosmos_32',)
    marks = ('quant_conv.', 'post_quant_conv.', 'quantizer._levels', 'inv_quant.')

    def rules(self, model: nn.Module) -> list[Rule]:
        return [Adapt(NETWORKS, _float32), *_buffers(model)]

    def misfit(self, model: nn.Module) -> str | None:
        """Return a quantizer of another class."""
        return other_class('quantizer', model.quantizer, 'FSQ')


def _buffers(model: nn.Module) -> list[Rule]:
    """Return the rule for the buffers of the archives: wavelets, levels and table of codes."""
    levels = model.quantizer.levels
    if math.prod(levels) > 2**20:
        return []
    kind = model.encoder.patches.kind
    wavelets = torch.full((2,), 0.5**0.5 if kind == 'haar' else 1.0, device='cpu')
    counts = torch.tensor(levels, device='cpu')
    basis = torch.cat([counts.new_ones(1), counts[:-1].cumprod(0)])
    numbers = torch.arange(math.prod(levels), device='cpu')[:, None]
    half = counts // 2
    table = (numbers // basis % counts - half) / half
    tensors = {}
    for part in ('encoder.patcher', 'decoder.unpatcher'):
        tensors |= {f'{part}.wavelets': wavelets, f'{part}._arange': torch.arange(2, device='cpu')}
    for part in ('quantizer', 'inv_quant.quantizer'):
        tensors |= {
            f'{part}._levels': counts,
            f'{part}._basis': basis,
            f'{part}.implicit_codebook': table,
        }
    return [Derived(tensors, 'buffers of the archive', written=False)]
