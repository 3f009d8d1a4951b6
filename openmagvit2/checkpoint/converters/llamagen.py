"""LlamaGen's files: tokenizers, and transformers without theirs.

See docs/reference/specification.md, LlamaGen.
"""

from typing import Any

import torch
from torch import Tensor, nn

from openmagvit2.checkpoint.converters.base import Converter, OfficialFile, count
from openmagvit2.checkpoint.converters.ibq import TABLE
from openmagvit2.checkpoint.converters.rules import Derived, Lost, Rename, Rule, Under
from openmagvit2.checkpoint.converters.vqgan import table_misfit
from openmagvit2.checkpoint.stages import is_generator
from openmagvit2.errors import UserError
from openmagvit2.models.layers.rope import rope_table
from openmagvit2.registry import CONVERTERS

LLAMAGEN, TEXT = 'FoundationVision/LlamaGen', 'peizesun/llamagen_t2i'
# File, repository, config, and the result of layout(): levels of a tokenizer, width and layers of a
# transformer. The files of 256 and 384 pixels have the same shapes.
FILES = tuple(
    OfficialFile(f'{name}.pt', repository, f'configs/llamagen/{config}.py', layout)
    for name, repository, config, layout in (
        ('vq_ds16_c2i', LLAMAGEN, 'vq_16', ('tokenizer', 5)),
        ('vq_ds8_c2i', LLAMAGEN, 'vq_8', ('tokenizer', 4)),
        ('vq_ds16_t2i', TEXT, 'vq_16_t2i', ('tokenizer', 5)),
        ('c2i_B_256', LLAMAGEN, 'ar_b_256', ('generator', 768, 12)),
        ('c2i_L_256', LLAMAGEN, 'ar_l_256', ('generator', 1024, 24)),
        ('c2i_B_384', LLAMAGEN, 'ar_b_384', ('generator', 768, 12)),
        ('c2i_L_384', LLAMAGEN, 'ar_l_384', ('generator', 1024, 24)),
        ('c2i_XL_384', LLAMAGEN, 'ar_xl_384', ('generator', 1280, 36)),
        ('c2i_XXL_384', LLAMAGEN, 'ar_xxl_384', ('generator', 1536, 48)),
        ('c2i_3B_384', LLAMAGEN, 'ar_3b_384', ('generator', 3200, 24)),
    )
)
TRANSFORMER = (
    Rename('class_embedding.weight', 'cls_embedding.embedding_table.weight'),
    Rename('head.embeddings.0.', 'tok_embeddings.'),
    Rename('backbone.blocks.', 'layers.'),
    Rename('head.norm.', 'norm.'),
    Rename('head.classifiers.0.', 'output.'),
)
MIDDLE = ('block_1', 'attn_1', 'block_2')
USED = 'quantize.codebook_used'


class Angles(Derived):
    """The table of rotary angles, which older files hold; its last bits depend on the machine."""

    def check(self, name: str, found: Tensor) -> None:
        """Raise UserError if a file has another grid or other angles."""
        own = self.tensors[name]
        near = found.shape == own.shape and torch.allclose(found.float(), own, atol=1e-3)
        if not near:
            raise UserError(
                f'{name} is {tuple(found.shape)} and must be the {self.what} {tuple(own.shape)} '
                f'of this config: the file is for images of another size.'
            )


@CONVERTERS.register_module()
class LlamaGen(Converter):
    """Tokenizers with unit codes, whose levels are listed in the order of execution, and Llama over
    whole indices.
    """

    files = FILES
    configs = ('tiny/llamagen_32', 'tiny/ar_llamagen_32')
    marks = (
        'encoder.conv_blocks.',
        'decoder.conv_blocks.',
        'cls_embedding.',
        'tok_embeddings.',
        'layers.',
    )
    container = 'model'
    beside = ('discriminator',)
    training_only = ('discriminator.', 'beside.discriminator.')
    separate = {
        'tokenizer': (
            'encoder.',
            'decoder.',
            'quantize.',
            'quant_conv.',
            'post_quant_conv.',
            'beside.',
        )
    }

    def rules(self, model: Any) -> list[Rule]:
        """See :class:`Converter`."""
        if not is_generator(model):
            discriminator = Rename('discriminator.', 'beside.discriminator.')
            lecam = Lost('lecam.', 'averages of LeCAM: official files keep none')
            return [*_tokenizer(model), discriminator, lecam, _used()]
        tokenizer = Under('tokenizer.', '', _tokenizer(model.tokenizer))
        used = Lost(USED, 'tokens of the last steps of a training, for its log')
        return [tokenizer, *TRANSFORMER, used, *_angles(model)]

    def misfit(self, model: Any) -> str | None:
        """Return a quantizer of another kind: other systems have the same names."""
        tokenizer = model.tokenizer if is_generator(model) else model
        return table_misfit(tokenizer.quantizer, unit=True)

    def layout(self, state: dict[str, Tensor]) -> tuple | None:
        """Return ('tokenizer', levels) or ('generator', width, layers)."""
        width = getattr(state.get('tok_embeddings.weight'), 'shape', None)
        if width is not None:
            return 'generator', width[-1], count(state, r'layers\.(\d+)\.')
        levels = count(state, r'encoder\.conv_blocks\.(\d+)\.')
        return ('tokenizer', levels) if levels else None


def _tokenizer(tokenizer: nn.Module) -> list[Rule]:
    """Return rules of a tokenizer; entry 0 of the decoder is the level of lowest resolution."""
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


def _used() -> Rule:
    return Lost(
        USED,
        'tokens of the last steps of a training, for its log',
        fill={USED: torch.zeros(65536)},
    )


def _angles(model: Any) -> list[Rule]:
    """Return the rule of the rotary angles, which new files do not hold."""
    grid = getattr(model.backbone, 'grid', None)
    if grid is None:
        return []
    with torch.device('cpu'):
        table = rope_table(grid, model.backbone.dim // model.backbone.num_heads)
    return [Angles({'freqs_cis': table}, 'table of rotary angles', written=False)]
