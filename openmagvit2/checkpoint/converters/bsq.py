"""BSQ-ViT's tokenizers, files of zhaoyue-zephyrus/bsq-vit.

See docs/reference/specification.md, BSQ-ViT.
"""

from typing import Any

from torch import Tensor, nn

from openmagvit2.checkpoint.converters.base import Converter, OfficialFile, bit_values
from openmagvit2.checkpoint.converters.rules import Lost, Rename, Rule, reshape
from openmagvit2.checkpoint.stages import is_generator
from openmagvit2.registry import CONVERTERS

PAGE = 'https://utexas.box.com/s'
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
    """Tokenizers with averages beside the weights; the discriminator of a file stays behind."""

    files = tuple(
        OfficialFile(name, f'{PAGE}/{page}', f'configs/bsq/{config}.py', layout)
        for name, page, config, layout in (
            ('bsqvit_b18g18.pt', 'nt9g741b1cu4nidygd3a3e26clpemr0n', 'vit_18_256', (18, 1)),
            ('bsqvit_b18g2.pt', 'k5249jg1c6iznslsl89lwqqg6woqg27o', 'vit_18_joint_256', (18, 9)),
            ('bsqvit_b36g36.pt', 'a7w3lw5q4dzxun3ai9uthhc3y8ade0pw', 'vit_36_256', (36, 1)),
        )
    )
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
    beside = (EMA,)
    prefixes = {'state_dict': 'module.', EMA: 'module.module.'}

    def detects(self, state: dict[str, Tensor]) -> bool:
        return 'encoder.conv1.weight' in state and 'quant_embed.weight' in state

    def rules(self, model: nn.Module) -> list[Rule]:
        if is_generator(model):
            return []
        return [
            *RULES,
            reshape(
                'encoder.patch_embed.weight',
                'encoder.conv1.weight',
                lambda x: _patches(x, model),
                lambda x: x.flatten(1),
            ),
            Lost(
                lambda name: name.removeprefix(self.averages).startswith('quantize.'),
                'powers of two, which follow from the bits; made anew on the way back',
                label='places of bits',
                fill=self._places(model),
            ),
            Lost('discriminator.', 'official discriminators have another layout'),
        ]

    def misfit(self, model: Any) -> str | None:
        """Return a generator, or a quantizer that is not binary on a sphere."""
        if is_generator(model):
            return 'generator'
        spherical = getattr(model.quantizer, 'spherical', False)
        return None if spherical else 'quantizer that is not binary and spherical'

    def average(self, official: str) -> str:
        return self.averages + official

    def layout(self, state: dict[str, Tensor]) -> tuple | None:
        """Return the bits and those of a group of the entropy."""
        bits = getattr(state.get('quant_embed.bias'), 'shape', None)
        group = getattr(state.get('quantize.group_basis'), 'shape', None)
        return None if bits is None or group is None else (*bits, *group)

    def _places(self, model: Any) -> dict[str, Tensor]:
        """Return the buffers of the quantizer, in raw weights and in averages."""
        bits = getattr(model.quantizer, 'num_bits', None)
        if bits is None:
            return {}
        sizes = {'basis': bits, 'group_basis': bits // model.quantizer.entropy_groups}
        return {
            f'{prefix}quantize.{name}': bit_values(size)
            for prefix in ('', self.averages)
            for name, size in sizes.items()
        }


def _patches(x: Tensor, model: Any) -> Tensor:
    """Map weights (D, 3 p^2) of patches as vectors to those of a convolution (D, 3, p, p)."""
    side = model.encoder.stride[0]
    return x.unflatten(1, (-1, side, side))
