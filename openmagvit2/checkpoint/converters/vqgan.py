"""VQGAN's files (taming-transformers) and the first stages of latent diffusion, by Lightning.

See docs/reference/specification.md, VQGAN.
"""

from typing import Any

import torch
from torch import Tensor, nn

from openmagvit2.checkpoint.converters.base import OfficialFile, count
from openmagvit2.checkpoint.converters.ibq import CONVOLUTION, NETWORKS
from openmagvit2.checkpoint.converters.open_magvit2 import DROPPED, OpenMagvit2
from openmagvit2.checkpoint.converters.rules import Derived, Rename, Rule, Under, join_qkv, squeeze
from openmagvit2.checkpoint.stages import is_generator
from openmagvit2.errors import UserError
from openmagvit2.registry import CONVERTERS

TAMING = 'https://github.com/CompVis/taming-transformers'
LATENT_DIFFUSION = 'https://github.com/CompVis/latent-diffusion'
# Folder, config, and the result of layout(): codes, their channels, levels, blocks of a level, and
# attention in the middle of a tokenizer; width and layers of a transformer.
FILES = tuple(
    OfficialFile(f'{folder}/last.ckpt', TAMING, f'configs/vqgan/{config}.py', layout)
    for folder, config, layout in (
        ('vqgan_imagenet_f16_1024/ckpts', 'vqgan_256_1024', ('tokenizer', 1024, 256, 5, 2, True)),
        (
            'vqgan_imagenet_f16_16384/ckpts',
            'vqgan_256_16384',
            ('tokenizer', 16384, 256, 5, 2, True),
        ),
        (
            '2021-04-03T19-39-50_cin_transformer/checkpoints',
            'ar_1400m_256',
            ('generator', 1536, 48),
        ),
    )
) + tuple(
    OfficialFile(
        f'{name}.zip (model.ckpt)',
        LATENT_DIFFUSION,
        f'configs/sd_vq/{config}.py',
        ('tokenizer', *layout),
    )
    for name, config, *layout in (
        ('vq-f16', 'vq_f16_256', 16384, 8, 5, 2, True),
        ('vq-f8', 'vq_f8_256', 16384, 4, 4, 2, True),
        ('vq-f8-n256', 'vq_f8_256_n256', 256, 4, 4, 2, True),
        ('vq-f4', 'vq_f4_256', 8192, 3, 3, 2, True),
        ('vq-f4-noattn', 'vq_f4_256_noattn', 8192, 3, 3, 2, False),
    )
)
BLOCK, OFFICIAL = 'backbone.blocks.{i}.', 'transformer.blocks.{i}.'
TRANSFORMER = (
    Rename('head.embeddings.0.', 'transformer.tok_emb.'),
    squeeze('backbone.position_embedding.weight', 'transformer.pos_emb', (0,)),
    *join_qkv(f'{BLOCK}attention.', f'{OFFICIAL}attn.'),
    Rename(f'{BLOCK}attention.out.', f'{OFFICIAL}attn.proj.'),
    Rename(f'{BLOCK}attention_norm.', f'{OFFICIAL}ln1.'),
    Rename(f'{BLOCK}ffn_norm.', f'{OFFICIAL}ln2.'),
    Rename(f'{BLOCK}fc1.', f'{OFFICIAL}mlp.0.'),
    Rename(f'{BLOCK}fc2.', f'{OFFICIAL}mlp.2.'),
    Rename('head.norm.', 'transformer.ln_f.'),
    Rename('head.classifiers.0.', 'transformer.head.'),
    Under('tokenizer.', 'first_stage_model.', NETWORKS),
)


def table_misfit(tokenizer: nn.Module, *, unit: bool) -> str | None:
    """Return what distinguishes a tokenizer from VQGAN's: a plain table between convolutions with
    biases.

    Args:
        tokenizer: A tokenizer.
        unit: Whether the vectors of the table must be of unit length.
    """
    parts = dict(tokenizer.named_children())
    quantizer = parts['quantizer']
    kinds = [cls.__name__ for cls in type(quantizer).__mro__]
    if kinds[0] != 'VQ':
        return f'quantizer {kinds[0]}'
    if getattr(quantizer, 'l2_norm', None) is not unit:
        return f'quantizer of {"other" if unit else "unit"} vectors'
    # MaskGIT's have none.
    if 'conv_in.bias' not in parts['encoder'].state_dict():
        return 'encoder without encoder.conv_in.bias'
    return None


@CONVERTERS.register_module()
class Vqgan(OpenMagvit2):
    """Tokenizers with a table and 1x1 convolutions around it, and GPT over its rows, whose files
    contain their tokenizer.
    """

    files = FILES
    configs = ('tiny/vqgan_32', 'tiny/sd_vq_32', 'tiny/ar_vqgan_32')
    weights = (*OpenMagvit2.weights, 'first_stage_model.')

    def detects(self, state: dict[str, Tensor]) -> bool:
        """Return whether there are 1x1 convolutions around a table, or minGPT's positions."""
        names = (*CONVOLUTION, 'transformer.pos_emb', 'model.diffusion_model.')
        return any(name.startswith(names) for name in state)

    def unified(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the state dict as it is.

        Raises:
            UserError: It is of a diffusion model, whose first stage has no table.
        """
        if any(name.startswith('model.diffusion_model.') for name in state):
            raise UserError(
                'The file is a latent diffusion model (model.diffusion_model.*): its first stage '
                'lacks quantize.embedding.weight. Give the file of the first stage, such as '
                'vq-f8.zip.'
            )
        return state

    def rules(self, model: nn.Module) -> list[Rule]:
        if not is_generator(model):
            discriminator = Rename('discriminator.', 'loss.discriminator.')
            return [*NETWORKS, discriminator, *DROPPED]
        return [*TRANSFORMER, *_masks(model), *DROPPED]

    def misfit(self, model: nn.Module) -> str | None:
        """Return a quantizer of another kind: other systems have the same names."""
        tokenizer = model.tokenizer if is_generator(model) else model
        return table_misfit(tokenizer, unit=False)

    def layout(self, state: dict[str, Tensor]) -> tuple | None:
        """Return ('tokenizer', codes, channels, levels, blocks of a level, attention) or
        ('generator', width, layers).
        """
        positions = getattr(state.get('transformer.pos_emb'), 'shape', None)
        if positions is not None:
            return 'generator', positions[-1], count(state, r'transformer\.blocks\.(\d+)\.')
        table = getattr(state.get('quantize.embedding.weight'), 'shape', ())
        if len(table) != 2:
            return None
        levels = count(state, r'encoder\.down\.(\d+)\.')
        blocks = count(state, r'encoder\.down\.0\.block\.(\d+)\.')
        return 'tokenizer', *table, levels, blocks, 'encoder.mid.attn_1.q.weight' in state


def _masks(model: Any) -> list[Rule]:
    """Return the rule of minGPT's causal masks, one for each block."""
    state = model.backbone.state_dict()
    table = state.get('position_embedding.weight')
    if table is None:
        return []
    size, blocks = table.shape[0], count(state, r'blocks\.(\d+)\.')
    mask = torch.ones(size, size).tril()[None, None]
    names = [f'transformer.blocks.{i}.attn.mask' for i in range(blocks)]
    return [Derived(dict.fromkeys(names, mask), 'causal mask')]
