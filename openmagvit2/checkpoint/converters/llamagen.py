"""LlamaGen's tokenizers.

See docs/reference/specification.md, LlamaGen.
"""

from typing import Any

import torch
from torch import nn

from openmagvit2.checkpoint.converters.base import Converter, count
from openmagvit2.checkpoint.converters.rules import Lost, Rename, Rule
from openmagvit2.checkpoint.converters.taming import TABLE, table_misfit
from openmagvit2.registry import CONVERTERS

MIDDLE = ('block_1', 'attn_1', 'block_2')
USED = Lost(
    {'quantize.codebook_used': torch.zeros(65536, device='cpu')},
    'tokens of the last training steps, for the log',
    label='quantize.codebook_used',
)


@CONVERTERS.register_module()
class LlamaGen(Converter):
    """Tokenizers with codes of unit length, whose levels are numbered in the order of execution."""

    stage = 'tokenizer'
    configs = ('tiny/llamagen_vq_32',)
    marks = ('encoder.conv_blocks.', 'decoder.conv_blocks.')
    discriminator = 'beside.discriminator.'
    entries = {'model': '', 'discriminator': ''}

    def rules(self, model: Any) -> list[Rule]:
        return [*_tokenizer(model), Rename('discriminator.', self.discriminator), USED]

    def misfit(self, model: Any) -> str | None:
        """Return a part of another kind, because other systems have the same names."""
        return table_misfit(model, unit=True)


def _tokenizer(tokenizer: nn.Module) -> list[Rule]:
    """Return the rules; block 0 of the official decoder is the level of lowest resolution."""
    rules: list[Rule] = [
        Rename(f'{part}.mid.{name}.', f'{part}.mid.{i}.')
        for part in ('encoder', 'decoder')
        for i, name in enumerate(MIDDLE)
    ]
    rules.append(Rename('encoder.down.{i}.downsample.', 'encoder.conv_blocks.{i}.downsample.conv.'))
    levels = count(tokenizer.state_dict(), r'decoder\.up\.(\d+)\.')
    places = [('encoder.down.{i}', 'encoder.conv_blocks.{i}')]
    places += [(f'decoder.up.{levels - 1 - n}', f'decoder.conv_blocks.{n}') for n in range(levels)]
    for ours, official in places:
        rules += [
            Rename(f'{ours}.block.', f'{official}.res.'),
            Rename(f'{ours}.attn.', f'{official}.attn.'),
            Rename(f'{ours}.upsample.', f'{official}.upsample.'),
        ]
    rules += [
        Rename(f'{part}.{name}.')
        for part in ('encoder', 'decoder')
        for name in ('conv_in', 'norm_out', 'conv_out')
    ]
    return [*rules, *TABLE]
