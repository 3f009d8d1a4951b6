"""BSQ-ViT's tokenizers, published by zhaoyue-zephyrus/bsq-vit.

See docs/reference/specification.md, BSQ-ViT.
"""

from typing import Any

from torch import Tensor, nn

from openmagvit2.checkpoint.converters.base import Converter, bit_values
from openmagvit2.checkpoint.converters.rules import Lost, Rename, Rule, reshape
from openmagvit2.registry import CONVERTERS

BLOCK = (
    ('norm1.', 'ln_1.'),
    ('attention.qkv.weight', 'attn.in_proj_weight'),
    ('attention.qkv.bias', 'attn.in_proj_bias'),
    ('attention.out.', 'attn.out_proj.'),
    ('norm2.', 'ln_2.'),
    ('fc1.', 'mlp.c_fc.'),
    ('fc2.', 'mlp.c_proj.'),
)
RULES = (
    *(
        Rename(f'{part}.vit.blocks.{{i}}.{a}', f'{part}.transformer.resblocks.{{i}}.{b}')
        for part in ('encoder', 'decoder')
        for a, b in BLOCK
    ),
    *(
        Rename(f'{part}.{a}', f'{part}.{b}')
        for part in ('encoder', 'decoder')
        for a, b in (
            ('positions', 'positional_embedding'),
            ('vit.norm_in.', 'ln_pre.'),
            ('vit.norm_out.', 'ln_post.'),
        )
    ),
    Rename('encoder.out.', 'quant_embed.'),
    Rename('decoder.embed.', 'post_quant_embed.'),
    Rename('decoder.to_hidden.', 'decoder.ffn.0.'),
    Rename('decoder.out.', 'decoder.conv_out.'),
)
EMA = 'ema_state_dict'


@CONVERTERS.register_module()
class Bsq(Converter):
    """Tokenizers whose files have averages in a second entry."""

    stage = 'tokenizer'
    configs = ('tiny/bsq_32',)
    marks = (
        'encoder.transformer.resblocks.',
        'decoder.transformer.resblocks.',
        'encoder.conv1.',
        'quant_embed.',
        'post_quant_embed.',
        'quantize.basis',
        'quantize.group_basis',
    )
    averages = f'beside.{EMA}.'
    entries = {'state_dict': 'module.', EMA: 'module.module.'}

    def detects(self, state: dict[str, Tensor]) -> bool:
        return 'encoder.conv1.weight' in state and 'quant_embed.weight' in state

    def rules(self, model: nn.Module) -> list[Rule]:
        return [
            *RULES,
            reshape(
                'encoder.patch_embed.weight',
                'encoder.conv1.weight',
                lambda x: _patches(x, model),
                lambda x: x.flatten(1),
            ),
            Lost(self._powers(model), 'follow from the bits', label='powers of two'),
        ]

    def misfit(self, model: Any) -> str | None:
        """Return a quantizer that is not binary and spherical."""
        spherical = getattr(model.quantizer, 'spherical', False)
        return None if spherical else 'quantizer that is not binary and spherical'

    def _powers(self, model: Any) -> dict[str, Tensor]:
        """Return the buffers of the quantizer, for raw weights and for averages."""
        bits = model.quantizer.num_bits
        sizes = {'basis': bits, 'group_basis': bits // model.quantizer.entropy_groups}
        return {
            f'{prefix}quantize.{name}': bit_values(size)
            for prefix in ('', self.averages)
            for name, size in sizes.items()
        }


def _patches(x: Tensor, model: Any) -> Tensor:
    """Map the weight of a linear patch embedding (D, 3 p^2) to a convolution's (D, 3, p, p)."""
    side = model.encoder.stride[0]
    return x.unflatten(1, (-1, side, side))
