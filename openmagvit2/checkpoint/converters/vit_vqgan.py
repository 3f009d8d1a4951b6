"""ViT-VQGAN's tokenizers and transformers, files of thuanz123/enhancing-transformers.

See docs/reference/specification.md, ViT-VQGAN.
"""

from typing import Any

import torch
from torch import Tensor, nn

from openmagvit2.checkpoint.converters.base import Converter
from openmagvit2.checkpoint.converters.rules import (
    Convert,
    Derived,
    Lost,
    Rename,
    Rule,
    join_qkv,
    squeeze,
)
from openmagvit2.models.layers.plain_vit import sine_positions
from openmagvit2.registry import CONVERTERS

BLOCK = (
    ('norm1.', '0.norm.'),
    ('attention.qkv.', '0.fn.to_qkv.'),
    ('attention.out.', '0.fn.to_out.'),
    ('norm2.', '1.norm.'),
    ('fc1.', '1.fn.net.0.'),
    ('fc2.', '1.fn.net.2.'),
)
RULES = (
    Rename('encoder.patch_embed.', 'encoder.to_patch_embedding.0.'),
    *(
        Rename(f'{part}.blocks.{{i}}.{a}', f'{part}.transformer.layers.{{i}}.{b}')
        for part in ('encoder', 'decoder')
        for a, b in BLOCK
    ),
    Rename('encoder.norm.', 'encoder.transformer.norm.'),
    Rename('encoder.out.', 'pre_quant.'),
    Rename('quantizer.embedding.weight'),
    Rename('decoder.embed.', 'post_quant.'),
    Rename('decoder.norm.', 'decoder.transformer.norm.'),
    Rename('decoder.to_pixels.', 'decoder.to_pixel.1.'),
)

GPT = 'transformer.blocks.{i}.'
GPT_BLOCK = (
    ('attention_norm.', 'ln1.'),
    ('attention.out.', 'attn.proj.'),
    ('ffn_norm.', 'ln2.'),
    ('fc1.', 'mlp.p0.'),
    ('fc2.', 'mlp.p1.'),
)


@CONVERTERS.register_module()
class VitVqgan(Converter):
    """Tokenizers of patches."""

    stage = 'tokenizer'
    configs = ('tiny/vit_vqgan_32',)
    marks = ('encoder.en_pos_embedding', 'encoder.to_patch_embedding.', 'pre_quant.', 'post_quant.')
    weights = ('encoder.', 'decoder.', 'quantizer.', 'pre_quant.', 'post_quant.')

    def detects(self, state: dict[str, Tensor]) -> bool:
        return 'encoder.to_patch_embedding.0.weight' in state and 'pre_quant.weight' in state

    def rules(self, model: Any) -> list[Rule]:
        tables = {}
        for part, name in (('encoder', 'en'), ('decoder', 'de')):
            network: Any = model.get_submodule(part)
            positions = getattr(network, 'positions', None)
            if isinstance(positions, Tensor):
                height, width = (side // model.encoder.stride[0] for side in network.image_size)
                table = sine_positions(height, width, positions.shape[1])
                tables[f'{part}.{name}_pos_embedding'] = table[None]
        return [
            *RULES,
            Derived(tables, 'table of positions', tolerance=1e-5),
            Lost('loss.', 'losses and their networks, not part of the model'),
        ]


@CONVERTERS.register_module()
class VitVqganGpt(Converter):
    """Transformers of the second stage; no file was published."""

    stage = 'generator'
    configs = ('tiny/vit_vqgan_ar_32',)
    marks = ('transformer.pos_emb_c', 'transformer.tok_emb_c')
    weights = ('transformer.',)

    def rules(self, model: nn.Module) -> list[Rule]:
        ours, attention = 'backbone.blocks.{i}.', f'{GPT}attn.'
        return [
            Rename('class_embedding.weight', 'transformer.tok_emb_cond.weight'),
            Rename('head.embeddings.0.weight', 'transformer.tok_emb_code.weight'),
            Convert(
                ['backbone.position_embedding.weight'],
                ['transformer.pos_emb_cond', 'transformer.pos_emb_code'],
                lambda x: [torch.cat(x, 1)[0]],
                lambda x: [x[0][None, :1].clone(), x[0][None, 1:].clone()],
            ),
            squeeze(f'{ours}attention.mixing.weight', f'{attention}time_mix', (0, 1)),
            *join_qkv(f'{ours}attention.', attention),
            *(Rename(ours + a, GPT + b) for a, b in GPT_BLOCK),
            Rename('head.norm.', 'transformer.layer_norm.'),
            Rename('head.classifiers.0.weight', 'transformer.head.weight'),
        ]

    def misfit(self, model: nn.Module) -> str | None:
        """Return the missing mixing over time, which all official transformers have."""
        mixing = 'backbone.blocks.0.attention.mixing.weight' in model.state_dict()
        return None if mixing else 'backbone.time_mixing=False'
